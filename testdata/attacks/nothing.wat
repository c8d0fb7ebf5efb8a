;; A memory of no pages, that grows and answers from what it grew, for as long as it can.
(module $nothing
  (import "pointsman:rt" "output_write" (func $output_write (param i64 i64)))
  (memory (export "memory") 0)
  (func (export "call")
    (if (memory.size) (then (unreachable)))
    (drop (memory.grow (i32.const 3)))
    (i32.store8 (i32.const 131072) (i32.add (i32.load8_u (i32.const 131072)) (i32.const 0x31)))
    (call $output_write (i64.const 131072) (i64.const 1)))
  (func (export "grow") (loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    (i32.store8 (i32.const 0) (i32.const 0x30)) (call $output_write (i64.const 0) (i64.const 1))))
