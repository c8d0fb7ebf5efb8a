package pdk

import (
	"encoding/json"

	"pointsman/pdk/wire"
)

// Level is how much a log record matters.
type Level string

// The levels that the host takes.
const (
	Debug   Level = "debug"
	Info    Level = "info"
	Warn    Level = "warn"
	Failure Level = "error"
)

// Log writes a record under the plugin's name. message is constant text; fields name rules
// and counts, never personal data. The host cuts and escapes what it gets. A record that
// cannot be written is lost: logging never fails a call.
func (h *Host) Log(level Level, message string, fields ...Field) {
	record, err := json.Marshal(wire.LogRecord{Level: string(level), Message: message, Fields: fields})
	if err != nil { // strings always marshal
		return
	}
	h.logWrite(record)
}
