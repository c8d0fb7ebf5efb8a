package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// Target is a PostgreSQL database as a broker's manifest describes one.
type Target struct {
	Address, Database, User string         // Address is host and port
	Password                string         // empty: none
	CA                      []byte         // PEM of whom to trust; nil: the system's roots
	Insecure                bool           // no TLS
	Private                 []netip.Prefix // private addresses of the host; empty until Fill

	config *pgx.ConnConfig
}

// ParseURL reads a database's URL, postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=MODE. What it lacks is taken
// from where libpq takes it (PGPASSWORD, ~/.pgpass, PGSSLMODE, ...). Refused is what a broker could not be told of in
// a manifest: sockets of this machine, several hosts, other settings than sslmode and sslrootcert, and every sslmode
// but disable and verify-full, because a broker has TLS with the certificate checked, or none. No error holds the
// password.
func ParseURL(text string) (Target, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Opaque != "" {
		return Target{}, errors.New("expected a URL such as postgres://user:password@localhost:5432/database?sslmode=disable")
	}
	query := u.Query()
	for name := range query {
		if name != "sslmode" && name != "sslrootcert" {
			return Target{}, fmt.Errorf("the URL sets %q; sslmode and sslrootcert are all that can be set", name)
		}
	}
	setting := func(name, variable string) string {
		if query.Has(name) {
			return query.Get(name)
		}
		return os.Getenv(variable)
	}
	mode, roots := setting("sslmode", "PGSSLMODE"), setting("sslrootcert", "PGSSLROOTCERT")
	if mode != "disable" && mode != "verify-full" {
		return Target{}, errors.New("sslmode must be disable, for a connection without TLS, or verify-full: write ?sslmode=disable at the end of the URL")
	}
	c, err := pgx.ParseConfig(text)
	if err != nil {
		return Target{}, errors.New("the URL, or one of libpq's variables and files, cannot be understood")
	}
	switch {
	case len(c.Fallbacks) > 0:
		return Target{}, errors.New("the URL names more than one host")
	case c.Host == "" || c.Host[0] == '/' || c.Host[0] == '@':
		return Target{}, errors.New("the URL must name a host: a broker reaches a database by an address")
	case c.Database == "" || c.User == "":
		return Target{}, errors.New("the URL must name a user and a database")
	}
	t := Target{
		Address: net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))), Database: c.Database, User: c.User,
		Password: c.Password, Insecure: mode == "disable", config: c,
	}
	if !t.Insecure && roots != "" && roots != "system" {
		if t.CA, err = os.ReadFile(roots); err != nil {
			return Target{}, fmt.Errorf("sslrootcert: %w", err)
		}
	}
	return t, nil
}

// reach looks up which private addresses the host has.
func (t *Target) reach(ctx context.Context) error {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", t.config.Host)
	if err != nil {
		return fmt.Errorf("resolve %s: %w", t.config.Host, err)
	}
	for _, a := range addrs {
		if a = a.Unmap().WithZone(""); a.IsLoopback() || a.IsPrivate() {
			t.Private = append(t.Private, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	slices.SortFunc(t.Private, netip.Prefix.Compare)
	t.Private = slices.Compact(t.Private)
	return nil
}
