package sqldb

import (
	"database/sql/driver"
	"strconv"
	"time"
)

func mysqlArgs(args []any) []driver.NamedValue {
	values := make([]driver.NamedValue, len(args))
	for i, a := range args {
		switch v := a.(type) {
		case number:
			a = string(v)
		case time.Time:
			a = v.Format("2006-01-02 15:04:05.999999")
		}
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	return values
}

// mysqlValue writes a value of a column whose type the driver calls kind.
func mysqlValue(out *result, kind string, v driver.Value) error {
	switch v := v.(type) {
	case nil:
		out.null()
		return nil
	case int64:
		out.integer(v)
		return nil
	case uint64:
		out.text = strconv.AppendUint(out.text, v, 10)
		return nil
	case float32:
		out.float(float64(v), 32)
		return nil
	case float64:
		out.float(v, 64)
		return nil
	case []byte:
		return mysqlText(out, kind, v)
	case string:
		return mysqlText(out, kind, []byte(v))
	}
	return refused("a value of the result is of an unknown type", nil)
}

func mysqlText(out *result, kind string, v []byte) error {
	switch kind {
	case "DECIMAL", "TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT", "YEAR",
		"UNSIGNED TINYINT", "UNSIGNED SMALLINT", "UNSIGNED MEDIUMINT", "UNSIGNED INT", "UNSIGNED BIGINT":
		return out.number(v)
	case "JSON":
		return out.json(v)
	case "TIMESTAMP": // the session's zone is UTC
		return out.string(isoTime(v, "Z"))
	case "DATETIME":
		return out.string(isoTime(v, ""))
	case "BLOB", "BINARY", "VARBINARY", "TINYBLOB", "MEDIUMBLOB", "LONGBLOB", "BIT", "GEOMETRY", "VECTOR":
		return out.bytes(v)
	}
	return out.string(v)
}
