import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hive.common.type.Date;
import org.apache.hadoop.hive.common.type.HiveDecimal;
import org.apache.hadoop.hive.common.type.Timestamp;
import org.apache.hadoop.hive.ql.exec.FileSinkOperator.RecordWriter;
import org.apache.hadoop.hive.ql.io.HiveOutputFormat;
import org.apache.hadoop.hive.serde2.AbstractSerDe;
import org.apache.hadoop.hive.serde2.objectinspector.ObjectInspector;
import org.apache.hadoop.hive.serde2.objectinspector.ObjectInspectorFactory;
import org.apache.hadoop.hive.serde2.objectinspector.primitive.PrimitiveObjectInspectorFactory;
import org.apache.hadoop.hive.serde2.typeinfo.PrimitiveTypeInfo;
import org.apache.hadoop.hive.serde2.typeinfo.TypeInfo;
import org.apache.hadoop.hive.serde2.typeinfo.TypeInfoUtils;
import org.apache.hadoop.io.Writable;
import org.apache.hadoop.mapred.JobConf;
import org.apache.hadoop.mapred.Reporter;

/**
 * Writes rows as tables of Hive hold them, by Hive's own serializers and output formats.
 *
 * <p>Arguments: a folder; a file whose first line has names of columns, the second their types, and all others a row
 * each, of fields between tabs, empty for null. The folder gets orc/000000_0, parquet/000000_0 and so on.
 */
public class HiveFiles {
  private static final String[][] KINDS = {
    {"orc", "org.apache.hadoop.hive.ql.io.orc.OrcSerde", "org.apache.hadoop.hive.ql.io.orc.OrcOutputFormat"},
    {"parquet", "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
      "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"},
    {"avro", "org.apache.hadoop.hive.serde2.avro.AvroSerDe",
      "org.apache.hadoop.hive.ql.io.avro.AvroContainerOutputFormat"},
    {"text", "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
      "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"},
  };

  public static void main(String[] arguments) throws Exception {
    List<String> lines = Files.readAllLines(Paths.get(arguments[1]), StandardCharsets.UTF_8);
    String[] names = lines.get(0).split("\t");
    String[] types = lines.get(1).split("\t");
    List<TypeInfo> infos = new ArrayList<>();
    List<ObjectInspector> inspectors = new ArrayList<>();
    for (String type : types) {
      TypeInfo info = TypeInfoUtils.getTypeInfoFromTypeString(type);
      infos.add(info);
      inspectors.add(PrimitiveObjectInspectorFactory.getPrimitiveJavaObjectInspector((PrimitiveTypeInfo) info));
    }
    ObjectInspector row = ObjectInspectorFactory.getStandardStructObjectInspector(Arrays.asList(names), inspectors);
    for (String[] kind : KINDS) {
      Properties table = new Properties();
      table.setProperty("name", "default.rows");
      table.setProperty("columns", String.join(",", names));
      table.setProperty("columns.types", String.join(":", types));
      table.setProperty("columns.comments", "");
      JobConf conf = new JobConf();
      conf.set("fs.defaultFS", "file:///");
      AbstractSerDe serde = (AbstractSerDe) Class.forName(kind[1]).getDeclaredConstructor().newInstance();
      serde.initialize(conf, table, null);
      HiveOutputFormat<?, ?> format =
          (HiveOutputFormat<?, ?>) Class.forName(kind[2]).getDeclaredConstructor().newInstance();
      Path file = new Path(arguments[0] + "/" + kind[0] + "/000000_0");
      Class<? extends Writable> written = serde.getSerializedClass();
      RecordWriter writer = format.getHiveRecordWriter(conf, file, written, false, table, Reporter.NULL);
      for (String line : lines.subList(2, lines.size())) {
        String[] fields = line.split("\t", -1);
        List<Object> values = new ArrayList<>();
        for (int k = 0; k < types.length; k++) {
          values.add(fields[k].isEmpty() ? null : valueOf(types[k], fields[k]));
        }
        writer.write(serde.serialize(values, row));
      }
      writer.close(false);
    }
  }

  private static Object valueOf(String type, String field) {
    switch (type.replaceAll("\\(.*", "")) {
      case "int": return Integer.valueOf(field);
      case "bigint": return Long.valueOf(field);
      case "double": return Double.valueOf(field);
      case "boolean": return Boolean.valueOf(field);
      case "decimal": return HiveDecimal.create(field);
      case "date": return Date.valueOf(field);
      case "timestamp": return Timestamp.valueOf(field);
      default: return field;
    }
  }
}
