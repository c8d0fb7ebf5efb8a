package main

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"path/filepath"

	"pointsman/host"
	"pointsman/host/audit"
)

// adminLog is the folder, below the data folder, of the record of what was done by command
// line. It is not the broker's own, because a running broker holds that one's lock.
const adminLog = "admin"

// recorded writes down that an operator does something, on stable storage, and then does
// it. What cannot be recorded is not done.
func recorded(ctx context.Context, c host.Config, action, object string, do func() error) error {
	return recordedBy(ctx, c, actor(), action, object, do)
}

// recordedBy is recorded for an operator who speaks with a running broker.
func recordedBy(ctx context.Context, c host.Config, who, action, object string, do func() error) (err error) {
	log, err := audit.Open(filepath.Join(c.Data, adminLog), audit.Options{})
	if err != nil {
		return fmt.Errorf("record it: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if err := log.Control(ctx, audit.Control{Actor: who, Action: action, Object: object}); err != nil {
		return fmt.Errorf("record it: %w", err)
	}
	return do()
}

// actor is the name of who runs this process, as the operating system knows it.
func actor() string {
	u, err := user.Current()
	if err != nil {
		return "operator"
	}
	return u.Username
}
