package wire

// Parcel is what operations answer that make a parcel: a document that stays on the host.
type Parcel struct {
	Parcel uint64 `json:"parcel"` // its number in this call, below 2^53
}

// HTTPFetch is the head of the frame that http.fetch takes; the frame's body is the request's
// body, unless Body is set. It answers Parcel at once. The parcel is the body of a 2xx answer,
// which must be JSON. Any other answer is a failure of the parcel, with the code that CodeOf
// gives its status, or one of Faults.
type HTTPFetch struct {
	HTTPRequest
	// Body is the number of a parcel that is sent as the request's body; 0: the frame's body.
	Body uint64 `json:"body_parcel,omitempty"`
	// Faults are asked in order, of answers that are not 2xx.
	Faults []HTTPFault `json:"faults,omitempty"`
}

// HTTPFault says what an answer means that its status does not tell.
type HTTPFault struct {
	Status int    `json:"status"` // of the answer
	Path   string `json:"path"`   // in its body, such as [0].errorCode
	Is     string `json:"is"`     // the text there
	Code   Code   `json:"code"`   // then this is what it means
}

// CodeOf is what an HTTP status means; "" for 2xx, which means that it was done.
func CodeOf(status int) Code {
	switch s := status; {
	case s >= 200 && s <= 299:
		return ""
	case s == 401 || s == 403:
		return Auth
	case s == 404:
		return NotFound
	case s == 429:
		return RateLimited
	case s == 408 || s == 425 || s >= 500 && s <= 599:
		return Transient
	}
	return Permanent
}

// ParcelSelect is what parcel.select takes, as JSON. It answers Parcel: the value at the path,
// null when there is none.
type ParcelSelect struct {
	Parcel uint64 `json:"parcel"`
	Path   string `json:"path"` // such as records[0].Email
}

// ParcelBuild is the head of the frame that parcel.build takes; the frame's body is the
// template. It answers Parcel.
type ParcelBuild struct {
	Of map[string]uint64 `json:"of"` // parcels by the names that the template has for them; "" is the one without a name
}

// ParcelMerge is the head of the frame that parcel.merge takes; the frame's body is the rules.
// It answers Parcel.
type ParcelMerge struct {
	Parts []uint64 `json:"parts"`
}

// ParcelEdit is the head of the frame that parcel.edit takes; the frame's body is what to set,
// rename and remove. It answers Parcel.
type ParcelEdit struct {
	Parcel uint64 `json:"parcel"`
}

// ParcelNumber is what parcel.read, parcel.size and parcel.status take, as JSON. All three wait
// for the document. Read answers what the grants let the plugin read of it, as JSON; size
// answers ParcelSize; status answers nothing, or fails with the code that the parcel failed
// with.
type ParcelNumber struct {
	Parcel uint64 `json:"parcel"`
}

// ParcelHas is what parcel.has takes, as JSON. It waits, and answers ParcelHasReply.
type ParcelHas struct {
	Parcel uint64 `json:"parcel"`
	Path   string `json:"path"`
}

// ParcelHasReply says whether something that is not null is at the path.
type ParcelHasReply struct {
	Has bool `json:"has"`
}

// ParcelSize is the size of a document.
type ParcelSize struct {
	Size int `json:"size"` // bytes of JSON
}
