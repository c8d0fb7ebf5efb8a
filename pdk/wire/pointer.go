package wire

// PointerOpen is what pointer.open takes, as JSON. It answers PointerOpened. A pointer that
// is malformed, was minted for others, has expired or was revoked is NotFound: which of
// these, nobody is told.
type PointerOpen struct {
	Domain  string `json:"domain"`  // the name in the grant, such as customer
	Pointer string `json:"pointer"` // as the consumer has it: ptr_customer_...
}

// PointerOpened is what pointer.open answers.
type PointerOpened struct {
	ID string `json:"id"` // as the back end has it
}

// PointerMint is what pointer.mint takes, as JSON. It answers PointerMinted.
type PointerMint struct {
	Domain string `json:"domain"` // the name in the grant, such as customer
	ID     string `json:"id"`     // 1 to 255 bytes, as the back end has it; numbers in decimal
}

// PointerMinted is what pointer.mint answers.
type PointerMinted struct {
	Pointer string `json:"pointer"` // for the consumer of this request, and its sector, alone
}
