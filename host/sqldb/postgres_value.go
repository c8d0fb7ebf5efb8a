package sqldb

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// pgArgs writes arguments in the server's text format; it knows the types.
func pgArgs(args []any) [][]byte {
	values := make([][]byte, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case string:
			values[i] = []byte(a)
		case int64:
			values[i] = strconv.AppendInt(nil, a, 10)
		case number:
			values[i] = []byte(a)
		case bool:
			values[i] = strconv.AppendBool(nil, a)
		case time.Time:
			values[i] = a.AppendFormat(nil, "2006-01-02 15:04:05.999999Z07:00")
		case []byte:
			values[i] = append([]byte(`\x`), hex.EncodeToString(a)...)
		}
	}
	return values
}

func pgRows(reader *pgconn.ResultReader, out *result) error {
	fields := reader.FieldDescriptions()
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	if err := out.columns(names); err != nil {
		return err
	}
	for reader.NextRow() {
		if err := out.begin(); err != nil {
			return err
		}
		for i, v := range reader.Values() {
			out.key(i)
			if err := pgValue(out, fields[i].DataTypeOID, v); err != nil {
				return err
			}
			if err := out.done(); err != nil {
				return err
			}
		}
		out.end()
	}
	return nil
}

// pgValue writes a value that the server wrote as text. The numbers are the OIDs of
// PostgreSQL's pg_type.dat.
func pgValue(out *result, oid uint32, v []byte) error {
	if v == nil {
		out.null()
		return nil
	}
	switch oid {
	case 16: // bool
		out.boolean(len(v) == 1 && v[0] == 't')
	case 20, 21, 23, 26, 700, 701, 1700: // int8, int2, int4, oid, float4, float8, numeric
		return out.number(v)
	case 17: // bytea
		b, err := hex.DecodeString(strings.TrimPrefix(string(v), `\x`))
		if err != nil {
			return refused("a value of the result is not what its type says", err)
		}
		return out.bytes(b)
	case 114, 3802: // json, jsonb
		return out.json(v)
	case 1114: // timestamp
		return out.string(isoTime(v, ""))
	case 1184: // timestamptz, in UTC
		return out.string(isoTime([]byte(strings.TrimSuffix(string(v), "+00")), "Z"))
	default: // date is what ISO 8601 has already; other types are in the server's words
		return out.string(v)
	}
	return nil
}

// isoTime turns "2006-01-02 15:04:05.999" into what RFC 3339 has. What is no such time, as
// infinity or a year before Christ, stays as the database has it.
func isoTime(v []byte, zone string) []byte {
	const shape = "2006-01-02 15:04:05"
	if len(v) < len(shape) || v[len("2006-01-02")] != ' ' {
		return v
	}
	if _, err := time.Parse(shape, string(v)); err != nil {
		return v
	}
	t := append([]byte(nil), v...)
	t[len("2006-01-02")] = 'T'
	return append(t, zone...)
}
