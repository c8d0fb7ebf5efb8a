package admission

// Users are those who share the slots of a plugin.
type Users struct {
	Routes    int // that call the plugin
	Consumers int // that may use one of these routes
	Steps     int // that call it, of the route where they are most
}

// queueFactor is how many calls may wait for each slot. A queue of four times the slots is
// gone through in four times the length of a call: for the calls that a route's deadline
// has room for, that is about when their deadline ends. What is longer only makes more of
// them wait in vain.
const queueFactor = 4

// division says how the slots of a plugin are divided among routes and consumers.
//
// Own slots are a route's alone; the rest is shared.
//
//	routes            own of each            shared    most of one route
//	1                 0                      slots     slots
//	2 to slots/2      slots / (2 × routes)   the rest  own + shared
//	more              0                      slots     half of the slots
//
// With more than one consumer, one may hold at most half of all slots, and at most half of
// what one route may hold. Halves are rounded up. The queue, of four calls a slot, is
// halved among routes and among consumers in the same way. It is longer where one request
// has more calls to make than there are slots: two of them find a place in either half.
//
// It follows, for a plugin with several routes and consumers:
//
//   - No more than slots calls run.
//   - A route that runs fewer calls than it has own slots starts one at once, whatever the
//     other routes do, for a consumer that has not got its half.
//   - While one route alone runs calls, each other route starts one at once (from 2 slots).
//   - While one consumer alone runs calls, each other consumer starts one at once, on every
//     route (from 3 slots; from 2 with one route).
type division struct {
	slots, own, shared        int
	perRoute                  int // slots that one route may hold
	perConsumer, perBoth      int // that one consumer may hold; on one route
	queue                     int
	queueRoute, queueConsumer int // of it, that one may fill
}

// divide divides slots, at least 1, among u.
func divide(slots int, u Users) division {
	routes := u.Routes
	d := division{slots: slots, shared: slots, perRoute: slots, queue: queueFactor * max(slots, u.Steps)}
	switch {
	case routes <= 1:
	case routes <= slots/2:
		d.own = slots / (2 * routes)
		d.shared = slots - d.own*routes
		d.perRoute = d.own + d.shared
	default:
		d.perRoute = half(slots)
	}
	d.queueRoute, d.queueConsumer = d.queue, d.queue
	d.perConsumer, d.perBoth = slots, d.perRoute
	if routes > 1 {
		d.queueRoute = half(d.queue)
	}
	if u.Consumers > 1 {
		d.queueConsumer = half(d.queue)
		d.perConsumer, d.perBoth = half(slots), half(d.perRoute)
	}
	return d
}
