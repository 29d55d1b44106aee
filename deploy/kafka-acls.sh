#!/bin/sh
# Grants each role of Stepwatch the least rights in Kafka with which it works, and nobody else any.
#
#   BOOTSTRAP=kafka:9093 COMMAND_CONFIG=admin.properties deploy/kafka-acls.sh ROLE=PRINCIPAL...
#
#   deploy/kafka-acls.sh correlate=User:stepwatch-correlate store=User:stepwatch-store producer=User:payments
#
# Roles: producer sender correlate store notify ingest operator publisher repairer responder auditor doctor.
# deploy/README.md says what each is for; one principal may have several.
# Environment:
#   BOOTSTRAP       a broker, host:port
#   COMMAND_CONFIG  file of client settings by which an administrator gets in; none: without
#   PREFIX          as STEPWATCH_PREFIX; default: stepwatch.
#   KAFKA_ACLS      Kafka's own tool; default: kafka-acls.sh. `echo kafka-acls.sh` shows what would be done
#   REMOVE=1        take the same rights away again
# Granting twice changes nothing.
set -eu

: "${BOOTSTRAP:?set it to a broker, host:port}"
PREFIX=${PREFIX:-stepwatch.}
KAFKA_ACLS=${KAFKA_ACLS:-kafka-acls.sh}
if [ "${REMOVE:-}" = 1 ]; then HOW="--remove --force"; else HOW="--add"; fi

# grant OPERATION[,OPERATION] literal|prefixed KIND:NAME...     names without the prefix
grant() {
  operations=$1 pattern=$2
  shift 2
  words=
  for operation in $(echo "$operations" | tr , ' '); do words="$words --operation $operation"; done
  for one in "$@"; do words="$words --${one%%:*} $PREFIX${one#*:}"; done
  # Words of ours without spaces: to be split.
  # shellcheck disable=SC2086
  $KAFKA_ACLS --bootstrap-server "$BOOTSTRAP" ${COMMAND_CONFIG:+--command-config "$COMMAND_CONFIG"} \
    $HOW --allow-principal "$WHO" --resource-pattern-type "$pattern" $words
}

# Every role but a producer, `ingest` and a publisher looks at its start whether all topics are as they must be: names and settings, no data.
look() { grant Describe,DescribeConfigs prefixed topic:; }

read_all() {
  grant Read literal topic:actions topic:authentications topic:responses topic:audit topic:evidence topic:alerts \
    topic:policies topic:dead-letters topic:notifications
}

role() {
  case $1 in
    producer) # an application or a shipper that reports events
      grant Write literal topic:actions topic:authentications
      ;;
    sender) # who sends files with `stepwatch send`: aliases are in the policies
      look
      grant Write literal topic:actions topic:authentications
      grant Read literal topic:policies
      ;;
    correlate) # appends to the inputs too: pulses, and records that lay in a wrong partition; at a take-over it reads
      # the ends of its outputs, to see whether anything is lost
      look
      grant Read literal topic:actions topic:authentications topic:responses topic:policies topic:state \
        topic:audit topic:evidence topic:dead-letters group:correlate
      grant Write literal topic:audit topic:evidence topic:alerts topic:dead-letters topic:state \
        topic:actions topic:authentications topic:responses
      grant Write prefixed transactional-id:correlate-
      ;;
    store)
      look
      grant Read literal topic:audit topic:evidence topic:alerts topic:responses topic:dead-letters group:store
      ;;
    notify)
      look
      grant Read,Write literal topic:notifications
      grant Read literal topic:alerts topic:dead-letters group:notify
      ;;
    ingest) # the API: takes events, answers from proofs, policies and alerts, and writes what a person decides
      grant Read literal topic:authentications topic:policies topic:alerts topic:responses
      grant Describe literal topic:alerts # what is not granted with Read is named only to who may see the topic
      grant Write literal topic:actions topic:authentications topic:responses
      grant Describe literal group:correlate
      ;;
    console) # the pages: shows alerts, dead letters and how far the roles are; writes what a person decides, and letters
      # that an admin sends again
      look
      grant Read literal topic:alerts topic:responses topic:notifications topic:policies topic:dead-letters \
        topic:actions topic:authentications
      grant Write literal topic:responses topic:notifications topic:actions topic:authentications
      grant Describe literal group:correlate group:store group:notify
      ;;
    operator) # `stepwatch topics create`, `stepwatch policy apply`
      look
      grant Create,AlterConfigs prefixed topic:
      grant Read,Write literal topic:policies
      ;;
    publisher) # `stepwatch policy apply` alone: a pipeline, or a correlate with STEPWATCH_POLICIES_DIR
      grant Read,Write literal topic:policies
      ;;
    repairer) # `stepwatch dead-letters list|show|replay`
      look
      grant Read,Write literal topic:actions topic:authentications topic:responses
      grant Read literal topic:dead-letters topic:policies
      ;;
    responder) # `stepwatch alerts` and `stepwatch notify`, by whoever is on call: what there is, and what a person
      # decides about it
      look
      grant Read,Write literal topic:notifications
      grant Read literal topic:alerts topic:responses
      grant Write literal topic:responses
      grant Describe literal group:correlate
      ;;
    auditor) # reads everything but the workers' own state, and may judge it anew
      look
      read_all
      ;;
    doctor) # `stepwatch doctor`: everything, and how far each role is
      look
      read_all
      grant Read literal topic:state
      grant Describe literal group:correlate group:store group:notify
      ;;
    *)
      echo "no such role: $1" >&2
      exit 2
      ;;
  esac
}

[ $# -gt 0 ] || { echo "usage: BOOTSTRAP=host:port $0 ROLE=PRINCIPAL..." >&2; exit 2; }
for pair in "$@"; do
  WHO=${pair#*=}
  role "${pair%%=*}"
done
