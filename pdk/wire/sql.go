package wire

import "encoding/json"

// SQLQuery is what sql.query takes, as JSON. It names a statement: there is no way to hand
// the host a text of SQL.
type SQLQuery struct {
	Backend   string `json:"backend"`   // the name in the grant, not an address
	Statement string `json:"statement"` // by the name that the admin gave it
	// Args are the arguments by the names of the statement's parameters, each as JSON of the
	// parameter's type: text and RFC 3339 times as strings, bytes as a string in base64,
	// integers and decimals as numbers of any length, null where the parameter is optional.
	Args map[string]json.RawMessage `json:"args,omitempty"`
	// Choices are words of the statement's own lists, for what no argument can be: an order.
	Choices map[string]string `json:"choices,omitempty"`
}

// SQLReply is what sql.query answers, as JSON.
type SQLReply struct {
	// Rows are the rows as the grant's view shows them, objects with the columns in their
	// order. Without a view there are none: Count alone tells how many they would be.
	//
	// Integers and decimals are numbers with every digit of the database's; NaN and the
	// infinities are strings. Times with a zone are RFC 3339 in UTC, those without have no
	// offset; bytes are base64; JSON is JSON.
	Rows      []json.RawMessage `json:"rows"`
	Count     int               `json:"count"`              // rows that were read
	Truncated bool              `json:"truncated"`          // there were more rows than the statement may answer
	Affected  int64             `json:"affected,omitempty"` // rows that a statement changed
}
