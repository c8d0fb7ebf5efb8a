package sandbox

import "maps"

// image is the state that every call of a module begins with: what the module's
// initializers have left. It is made before there is a request, so it holds no data of
// any. It does not change.
type image struct {
	imageFile          // the linear memory
	names     []string // the exports that hold the mutable globals
	globals   []uint64 // their values
	fuel      int64    // as call.fuel
	blocks    []block  // of the kernel, with bytes of their own
	next      uint64   // offset of the kernel's next block
	given     uint64   // as kernel.given
	used      uint64   // by blocks
	values    map[string][]byte
	valueSize int
	reply     []byte // that the initializers left unread
	hasReply  bool
	naps      int
	logLeft   int
	logCut    bool
}

// take fills in what c's initializers left beside memory and globals.
func (i *image) take(c *call) {
	k := &c.kernel
	for _, b := range k.blocks {
		if b.data != nil {
			i.blocks = append(i.blocks, block{offset: b.offset, data: append([]byte{}, b.data...)})
		}
	}
	i.next, i.used, i.given = k.next, k.used, k.given
	i.fuel = c.fuel
	i.values, i.valueSize = maps.Clone(c.vars.values), c.vars.used
	i.reply, i.hasReply, i.naps = c.reply, c.hasReply, c.naps
	i.logLeft, i.logCut = c.log.left, c.log.cut
}

// give lets c begin with what take took. Values of variables are shared: nobody changes
// their bytes.
func (i *image) give(c *call) {
	k := &c.kernel
	k.next, k.used, k.given = i.next, i.used, i.given
	for _, b := range i.blocks {
		data, address := k.arena.take(uint64(len(b.data)))
		if data == nil {
			data = make([]byte, len(b.data))
		}
		copy(data, b.data)
		k.blocks = append(k.blocks, block{b.offset, data, address})
	}
	if i.values != nil {
		c.vars.values = maps.Clone(i.values)
	}
	c.vars.used, c.fuel = i.valueSize, i.fuel
	c.reply, c.hasReply, c.naps = i.reply, i.hasReply, i.naps
	c.log.left, c.log.cut = i.logLeft, i.logCut
}
