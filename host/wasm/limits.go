package wasm

// Limits of what is accepted. Each is there because a small module that exceeds it took
// more than 50 s, more than 1 GB or the whole process to compile; each leaves room for a
// standard Go plugin of 6.2 MB (4,272 functions, bodies of 50 kB, nesting 549, br_table
// of 1,150, 73,528 data segments, table of 8,368 elements).
const (
	MaxModule      = 16 << 20  // bytes
	MaxFunctions   = 50_000    // imports included
	MaxLocals      = 50_000    // of one function, parameters included
	MaxLocalsTotal = 5_000_000 // of all functions
	MaxBody        = 256 << 10 // bytes of one function
	MaxNesting     = 2_000     // blocks within blocks
	MaxBranchTable = 10_000    // targets of one br_table
	MaxTable       = 100_000   // elements of the table
	MaxGlobals     = 10_000
	MaxElements    = 10_000 // element segments
	// MaxElementItems bounds the elements of all segments. A runtime evaluates each of them
	// for every new instance, outside of fuel and deadline: 3 million took 3 s and 774 MB.
	MaxElementItems = 200_000
	MaxTypes        = 10_000
	MaxDataSegments = 200_000
	MaxMemory       = 65_536 // pages: the whole of a 32-bit memory

	// The following keep products small that a compiler has to spell out: branches times
	// values carried, loops and blocks times locals. Each has room for a C interpreter,
	// the largest function seen: 53 loops, 3 deep, 259 blocks, 2,457 locals. 100 nested
	// loops over 1,000 locals took wazero 44 s, 20,000 loops side by side 20 s, 2,000 with
	// the charges that Rewrite adds 0.8 s. They do not make compiling cheap: it stays
	// worse than linear, so a host has to bound its time and memory as well.
	MaxParams      = 255       // of a signature
	MaxResults     = 16        // of a signature
	MaxBlockParams = 16        // of a block
	MaxLoops       = 2_000     // in one function
	MaxLoopNesting = 32        // loops within loops
	MaxLoopLocals  = 150_000   // loops times locals of one function
	MaxBlockLocals = 4_000_000 // blocks of all kinds times locals of one function
	MaxNestLocals  = 16_000    // depth of nested loops times locals of one function
	MaxLoopsTotal  = 200_000   // bounds what the charges at loop headers add

	MaxExports = 10_000
	MaxCustom  = 1_000 // custom sections
	MaxName    = 4_096 // bytes of a name of an import, export or custom section
	// MaxFunctionName is what Rewrite leaves of a function's name in the name section, in
	// bytes. A runtime writes it into a trace for every frame, several times: names of 15 MB
	// took gigabytes. The longest of a standard Go plugin has 150.
	MaxFunctionName = 256
)
