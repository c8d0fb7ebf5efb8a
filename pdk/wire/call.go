package wire

// CallRequest is the head of the frame that call.function takes; the frame's body is the
// input, one JSON value. It answers the output, one JSON value: what the grant's view shows
// of it, and null where there is no view. A function that fails answers an Error with the
// code that it failed with and none of its words.
type CallRequest struct {
	Function string `json:"function"` // plugin.function
}
