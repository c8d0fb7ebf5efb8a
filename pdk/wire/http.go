package wire

// Field is one query parameter or header. A list keeps the order and allows a name twice.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// HTTPRequest is the head of the frame that http.request takes; the frame's body is
// the request's body.
type HTTPRequest struct {
	Backend string  `json:"backend"`          // the name in the grant, not a host
	Method  string  `json:"method"`           // upper case, e.g. GET
	Path    string  `json:"path"`             // from "/", segments percent-encoded, no query
	Query   []Field `json:"query,omitempty"`  // plain text; the host encodes it
	Header  []Field `json:"header,omitempty"` // only names that the grant lists
}

// URLRequest is the head of the frame that http.url takes; the frame's body is the request's
// body. It is what Extism's http_request takes, so its names and types are Extism's.
type URLRequest struct {
	URL     string            `json:"url"`               // of a granted back end, in full
	Method  string            `json:"method,omitempty"`  // empty means GET; letter case does not matter
	Headers map[string]string `json:"headers,omitempty"` // only names that the grant lists
}

// HTTPReply is the head of the frame that http.request and http.url answer; the frame's body
// is the answer's body, decoded.
type HTTPReply struct {
	Status int     `json:"status"`           // as the back end sent it, 200 to 599
	Header []Field `json:"header,omitempty"` // names in lower case; only those that the host passes on
}
