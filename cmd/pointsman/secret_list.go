package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pointsman/host"
	"pointsman/host/secret"
)

// listedSecret is what list and check show of a secret.
type listedSecret struct {
	Name       string     `json:"name"`
	Provider   string     `json:"provider"`
	Version    uint64     `json:"version,omitempty"`
	Set        *time.Time `json:"set,omitempty"`
	Expires    *time.Time `json:"expires,omitempty"`
	Expired    bool       `json:"expired"`
	Redactable bool       `json:"redactable"`
	Former     int        `json:"former,omitempty"` // replaced values that are still taken out of answers
	Error      string     `json:"error,omitempty"`  // of check
}

func listed(i secret.Info, now time.Time) listedSecret {
	l := listedSecret{Name: i.Name, Provider: i.Provider, Version: i.Version, Redactable: !i.Short, Former: i.Former}
	if !i.Set.IsZero() {
		l.Set = &i.Set
	}
	if !i.Expires.IsZero() {
		l.Expires, l.Expired = &i.Expires, !now.Before(i.Expires)
	}
	return l
}

func newSecretList(s streams) *cobra.Command {
	var c host.Config
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Name the secrets, with their age and expiry",
		Long: `Shows what is known of each secret of the providers in --secrets: never its value, length
or hash. Secrets in a broker's memory are not shown.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withProviders(c, func(chain *secret.Chain) error {
				infos, err := chain.List()
				if err != nil {
					return refused(err)
				}
				now := time.Now()
				list := make([]listedSecret, len(infos))
				for i, info := range infos {
					list[i] = listed(info, now)
				}
				return s.done(cmd, count(len(list), "secret"), list, secretTable(list, now))
			})
		},
	}
	stateFlags(cmd, &c)
	return cmd
}

func secretTable(list []listedSecret, now time.Time) string {
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	if len(list) > 0 {
		fmt.Fprintln(w, "NAME\tPROVIDER\tVERSION\tAGE\tEXPIRES\tNOTE")
	}
	for _, l := range list {
		version, age, expires, note := "-", "-", "never", ""
		if l.Version > 0 {
			version = fmt.Sprint(l.Version)
		}
		if l.Set != nil {
			age = shortTime(now.Sub(*l.Set))
		}
		if l.Expires != nil {
			expires = "in " + shortTime(l.Expires.Sub(now))
		}
		if l.Expired {
			expires = "EXPIRED"
		}
		if !l.Redactable {
			note = "not redactable"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", l.Name, l.Provider, version, age, expires, note)
	}
	if err := w.Flush(); err != nil { // a buffer takes everything
		panic(err)
	}
	return text.String()
}

// shortTime is a duration as people say it.
func shortTime(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}

func newSecretCheck(s streams) *cobra.Command {
	var c host.Config
	cmd := &cobra.Command{
		Use:   "check [NAME...]",
		Short: "Open every secret without showing it",
		Long: `Opens each secret of the providers in --secrets, or those named, as a broker would, and
says which cannot be used and why. Exit code 2 if one cannot.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withProviders(c, func(chain *secret.Chain) error {
				infos, err := chain.List()
				if err != nil {
					return refused(err)
				}
				if len(args) > 0 {
					if infos, err = only(infos, args); err != nil {
						return refused(err)
					}
				}
				return s.check(cmd, chain, infos)
			})
		},
	}
	stateFlags(cmd, &c)
	return cmd
}

func only(infos []secret.Info, names []string) ([]secret.Info, error) {
	var picked []secret.Info
	for _, name := range names {
		i := slices.IndexFunc(infos, func(i secret.Info) bool { return i.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("secret %.80q: %w", name, secret.ErrNotFound)
		}
		picked = append(picked, infos[i])
	}
	return picked, nil
}

func (s streams) check(cmd *cobra.Command, chain *secret.Chain, infos []secret.Info) error {
	var text bytes.Buffer
	var bad []error
	down := false
	list := make([]listedSecret, len(infos))
	for i, info := range infos {
		list[i] = listed(info, time.Now())
		_, err := chain.Get(info.Name)
		if err != nil {
			list[i].Error = err.Error()
			bad = append(bad, err)
			down = down || errors.Is(err, secret.ErrUnreachable)
			continue
		}
		fmt.Fprintf(&text, "%s: ok (%s)\n", info.Name, info.Provider)
	}
	if len(bad) > 0 {
		code := exitRefused
		if down {
			code = exitUnreachable
		}
		return &codedError{code: code, err: errors.Join(bad...), result: list}
	}
	return s.done(cmd, count(len(list), "secret")+" can be used", list, text.String())
}
