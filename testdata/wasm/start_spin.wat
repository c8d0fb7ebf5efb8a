;; Has a start function that never ends.
(module $start_spin
  (start $begin)
  (func $begin (loop (br 0)))
  (func (export "run")))
