package kvcap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/kv"
	"pointsman/pdk/wire"
)

// maxMS is how many milliseconds a time.Duration holds.
const maxMS = int64((1<<63 - 1) / time.Millisecond)

// split decodes the head of a frame and returns a copy of its body.
func split(request []byte, head any) (body []byte, err error) {
	text, body, err := wire.SplitFrame(request)
	if err != nil {
		return nil, invalid("the request is not a frame: four bytes of length, a JSON head, a body")
	}
	if len(body) > kv.MaxValue {
		return nil, &broker.Error{Kind: broker.TooLarge, Detail: kv.ErrLarge.Error()}
	}
	if err := capability.Decode(text, head); err != nil {
		return nil, err
	}
	return slices.Clone(body), nil
}

func parseKey(request []byte) (string, error) {
	var asked wire.KVKey
	body, err := split(request, &asked)
	if err != nil {
		return "", err
	}
	if len(body) > 0 {
		return "", invalid("this operation takes no value")
	}
	return asked.Key, checkKey(asked.Key)
}

func checkKey(key string) error {
	if err := kv.CheckKey(key); err != nil {
		return invalid(err.Error())
	}
	return nil
}

// check returns what is to be put, without labels.
func (s *space) check(key string, ttl int64, value []byte) (kv.Put, error) {
	if err := checkKey(key); err != nil {
		return kv.Put{}, err
	}
	if ttl < 0 || ttl > maxMS {
		return kv.Put{}, invalid("ttl_ms is not a time")
	}
	p := kv.Put{Key: key, Value: value, TTL: time.Duration(ttl) * time.Millisecond}
	if p.TTL > s.limits.TTL {
		return kv.Put{}, denied("values may be kept for %v; less can be asked for, more cannot", s.limits.TTL)
	}
	return p, nil
}

// failure is what a plugin is told of an error of the store.
func failure(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kv.ErrKeys), errors.Is(err, kv.ErrBytes):
		return &broker.Error{Kind: broker.Denied, Detail: sentence(err), Err: err}
	case errors.Is(err, kv.ErrDamaged):
		return &broker.Error{Kind: broker.Internal, Err: err} // permanent: trying again does not help
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &broker.Error{Kind: broker.Canceled, Detail: "the request was canceled", Err: err}
	}
	return &broker.Error{Kind: broker.Unavailable, Detail: "the values cannot be reached", Err: err}
}

// sentence is the plugin's word for a quota, without what the store says beside it.
func sentence(err error) string {
	if errors.Is(err, kv.ErrKeys) {
		return kv.ErrKeys.Error()
	}
	return kv.ErrBytes.Error()
}

func invalid(detail string) error { return &broker.Error{Kind: broker.Invalid, Detail: detail} }

func denied(format string, args ...any) error {
	return &broker.Error{Kind: broker.Denied, Detail: fmt.Sprintf(format, args...)}
}
