// Package store owns the simulated customer store: one table with the people of package sim, in a file of SQLite or in
// a PostgreSQL database that somebody runs.
//
// The table customers has the columns that plugins/customer-store knows:
//
//	number, given, family, email, phone, street, city, region, postal_code, country, language   text
//	birthday                                                                                    date
//	email_opt_out                                                                               boolean
//	updated                                                                                     time with a zone
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"pointsman/cmd/backends/sim"
)

// Table is the name of the table.
const Table = "customers"

// columns are those of the table, in the order of values.
var columns = []string{
	"number", "given", "family", "email", "phone", "street", "city", "region", "postal_code", "country", "language",
	"birthday", "email_opt_out", "updated",
}

// texts are a row's columns up to language.
func texts(r sim.StoreRow) []any {
	return []any{r.Number, r.Given, r.Family, r.Email, r.Phone, r.Street, r.City, r.Region, r.PostalCode, r.Country, r.Language}
}

// WriteSQLite makes a new file with the rows. It refuses a file that is there; on an error it leaves none.
func WriteSQLite(ctx context.Context, file string, rows []sim.StoreRow) (err error) {
	file, err = filepath.Abs(file)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(file), RawQuery: "mode=rw"}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return errors.Join(err, os.Remove(file))
	}
	if err = errors.Join(fillSQLite(ctx, db, rows), db.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", file, err), os.Remove(file))
	}
	return nil
}

func fillSQLite(ctx context.Context, db *sql.DB, rows []sim.StoreRow) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	if _, err := tx.ExecContext(ctx, `CREATE TABLE customers (
		number TEXT PRIMARY KEY, given TEXT, family TEXT, email TEXT, phone TEXT, street TEXT, city TEXT, region TEXT,
		postal_code TEXT, country TEXT, language TEXT, birthday DATE, email_opt_out BOOLEAN, updated TIMESTAMP)`); err != nil {
		return err
	}
	insert, err := tx.PrepareContext(ctx, "INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer insert.Close()
	for _, r := range rows {
		values := append(texts(r), r.Birthday.Format(time.DateOnly), r.EmailOptOut, r.Updated.UTC().Format(time.RFC3339))
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return err
		}
	}
	return tx.Commit()
}
