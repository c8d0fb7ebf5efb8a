package rest

import (
	"net/http"
	"strings"
)

// maxCredential is how many bytes a credential may have. Ours have under 100; the rest is
// room for the tokens of others.
const maxCredential = 4 << 10

// credential returns what the request presents, from "Authorization: Bearer …" or
// "X-Api-Key: …". It is "" when there is nothing, when a header comes twice, when another
// scheme is used, and when both headers are there and differ: nobody can say which was
// meant. Credentials in the query are not looked at, because URLs are kept in logs.
func credential(h http.Header) string {
	bearer, hasBearer, ok1 := single(h, "Authorization")
	key, hasKey, ok2 := single(h, "X-Api-Key")
	if !ok1 || !ok2 {
		return ""
	}
	if hasBearer {
		scheme, token, _ := strings.Cut(bearer, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return ""
		}
		bearer = token
	}
	switch {
	case hasBearer && hasKey && bearer != key:
		return ""
	case hasBearer:
		key = bearer
	}
	if len(key) > maxCredential {
		return ""
	}
	return key
}

// single returns the value of a header that may come once only.
func single(h http.Header, name string) (value string, has, ok bool) {
	switch values := h[name]; len(values) {
	case 0:
		return "", false, true
	case 1:
		return values[0], true, true
	}
	return "", true, false
}
