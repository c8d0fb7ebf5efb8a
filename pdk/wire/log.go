package wire

// LogRecord is what log.write takes, as JSON. It answers nothing.
type LogRecord struct {
	Level   string  `json:"level"`            // debug, info, warn or error
	Message string  `json:"message"`          // the host cuts and escapes it
	Fields  []Field `json:"fields,omitempty"` // a few names and values
}
