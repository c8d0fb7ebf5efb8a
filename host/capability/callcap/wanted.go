package callcap

import (
	"slices"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/pdk/wire"
)

// teach is plan, whose refusals name the function that was asked for, plugin.function, where
// the plugin's author says that it wants it: whatever else a plugin asks for may be a value.
func (p policy) teach(wanted []string) capability.Op {
	return func(request []byte) (capability.Planned, error) {
		planned, err := p.plan(request)
		if err == nil || planned.Resource != "" || broker.KindOf(err) != broker.Denied {
			return planned, err
		}
		var asked wire.CallRequest
		if head, _, bad := wire.SplitFrame(request); bad == nil && capability.Decode(head, &asked) == nil && slices.Contains(wanted, asked.Function) {
			planned.Resource = asked.Function
		}
		return planned, err
	}
}
