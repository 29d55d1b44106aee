// Lines "topic TAB key TAB value" of standard input, sent by kafkajs with nothing set but the address.
// Run: NODE_PATH=FOLDER/node_modules node producer.js HOST:PORT

"use strict";

const { readFileSync } = require("node:fs");
const { Kafka, logLevel } = require("kafkajs");

async function main(broker) {
  const lines = readFileSync(0, "utf8").split("\n").filter(Boolean);
  const producer = new Kafka({ brokers: [broker], logLevel: logLevel.ERROR }).producer();
  await producer.connect();
  for (const line of lines) {
    const [topic, key, value] = line.split("\t");
    await producer.send({ topic, messages: [{ key, value }] });
  }
  await producer.disconnect();
}

main(process.argv[2]).catch((error) => {
  console.error(error);
  process.exit(1);
});
