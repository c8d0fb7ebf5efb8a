package sqldb

import (
	"database/sql/driver"
	"io"
)

// driverRows writes all rows with value, which is told the type of the column.
func driverRows(rows driver.Rows, out *result, value func(out *result, kind string, v driver.Value) error) error {
	names := rows.Columns()
	if err := out.columns(names); err != nil {
		return err
	}
	kinds := make([]string, len(names))
	if typed, ok := rows.(driver.RowsColumnTypeDatabaseTypeName); ok {
		for i := range kinds {
			kinds[i] = typed.ColumnTypeDatabaseTypeName(i)
		}
	}
	row := make([]driver.Value, len(names))
	for {
		if err := rows.Next(row); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := out.begin(); err != nil {
			return err
		}
		for i, v := range row {
			out.key(i)
			if err := value(out, kinds[i], v); err != nil {
				return err
			}
			if err := out.done(); err != nil {
				return err
			}
		}
		out.end()
	}
}
