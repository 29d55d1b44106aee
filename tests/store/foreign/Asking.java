// Asks ClickHouse by its JDBC driver, as a person's tool does: one question a line of standard input.
// A line: name TAB query TAB parameter TAB value ..., each after the name in base64.
// Answers: name TAB column TAB ... and then a line for each row, cells in base64, ~ for NULL; an empty line ends a question.
// Run from its source: java -cp JARS Asking.java jdbc:clickhouse://HOST:PORT/DATABASE USER, the password in PASSWORD.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.Statement;
import java.util.Base64;
import java.util.Properties;

public class Asking {
  public static void main(String[] args) throws Exception {
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      String[] parts = line.split("\t", -1);
      Properties properties = new Properties();
      properties.put("user", args[1]);
      properties.put("password", System.getenv("PASSWORD"));
      for (int place = 2; place + 1 < parts.length; place += 2) {
        properties.put("clickhouse_setting_param_" + decoded(parts[place]), decoded(parts[place + 1]));
      }
      try (Connection connection = DriverManager.getConnection(args[0], properties);
          Statement statement = connection.createStatement();
          ResultSet rows = statement.executeQuery(decoded(parts[1]))) {
        show(parts[0], rows);
      }
    }
  }

  private static void show(String name, ResultSet rows) throws Exception {
    ResultSetMetaData columns = rows.getMetaData();
    StringBuilder out = new StringBuilder(name);
    for (int column = 1; column <= columns.getColumnCount(); column++) {
      out.append('\t').append(columns.getColumnName(column));
    }
    System.out.println(out);
    while (rows.next()) {
      out.setLength(0);
      for (int column = 1; column <= columns.getColumnCount(); column++) {
        String cell = rows.getString(column);
        out.append(column == 1 ? "" : "\t").append(cell == null ? "~" : encoded(cell));
      }
      System.out.println(out);
    }
    System.out.println();
  }

  private static String decoded(String text) {
    return new String(Base64.getDecoder().decode(text), StandardCharsets.UTF_8);
  }

  private static String encoded(String text) {
    return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
  }
}
