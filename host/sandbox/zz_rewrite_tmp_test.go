package sandbox_test
import ("testing";"context";"runtime";"time";"encoding/binary";"pointsman/host/wasm"
"github.com/tetratelabs/wazero")
func uu(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }
func modz(locals int, typ byte, code []byte) []byte {
  b := append(append([]byte{1}, uu(locals)...), typ); b = append(b, code...); b = append(b, 0x0b)
  fb := append(append([]byte{1}, uu(len(b))...), b...)
  m := []byte("\x00asm\x01\x00\x00\x00")
  m = append(m, 1,5,1,0x60,1,0x7f,0)
  m = append(m, 3,2,1,0, 5,3,1,0,1, 7,5,1,1,'f',0,0)
  m = append(m, 10); m = append(m, uu(len(fb))...); return append(m, fb...)
}
func cc(ps ...[]byte) (o []byte) { for _,p:=range ps { o=append(o,p...)}; return }
func rep(p []byte, n int) (o []byte) { for range n { o=append(o,p...)}; return }
func uses(n int) (o []byte) { for i:=range n { o=append(o,0x20); o=append(o,uu(i+1)...); o=append(o,0x1a)}; return }
// real uses: store
func stores(n int) (o []byte) { for i:=range n { o=append(o,0x41,0,0x20); o=append(o,uu(i+1)...); o=append(o,0x36,2,0)}; return }
func sets(n int) (o []byte) { for i:=range n { o=append(o,0x20,0,0x41); o=append(o,uu(i%60)...); o=append(o,0x6a,0x21); o=append(o,uu(i+1)...)}; return }
func TestZAttack(t *testing.T){
  ctx:=context.Background()
  br := []byte{0x02,0x40,0x20,0,0x0d,0,0x0b}
  for _, a := range []struct{n string; m []byte}{
    {"loopsnest 400x1000", modz(1000,0x7f,cc(sets(1000),rep([]byte{3,0x40},400),stores(1000),rep([]byte{0x20,0,0x0d,0,0x0b},400)))},
    {"loopsnest 1000x2000", modz(2000,0x7f,cc(sets(2000),rep([]byte{3,0x40},1000),stores(2000),rep([]byte{0x20,0,0x0d,0,0x0b},1000)))},
    {"loopsnest 2000x2000", modz(2000,0x7f,cc(sets(2000),rep([]byte{3,0x40},1999),stores(2000),rep([]byte{0x20,0,0x0d,0,0x0b},1999)))},
    {"loopsnest set 400x1000", modz(1000,0x7f,cc(sets(1000),rep([]byte{3,0x40},400),sets(1000),rep([]byte{0x20,0,0x0d,0,0x0b},400),stores(1000)))},
    {"blocks 2000x2000", modz(2000,0x7f,cc(sets(2000),rep(br,2000),stores(2000)))},
    {"blocks 10000x2000", modz(2000,0x7f,cc(sets(2000),rep(br,10000),stores(2000)))},
    {"blocks 20000x8000", modz(8000,0x7f,cc(sets(8000),rep(br,18000),stores(8000)))},
    {"flat loops 2000x2000", modz(2000,0x7f,cc(sets(2000),rep([]byte{3,0x40,0x20,0,0x0d,0,0x0b},2000),stores(2000)))},
    {"brtables", modz(1,0x7f,cc(rep([]byte{2,0x40},100), rep(cc([]byte{2,0x40,0x20,0,0x0e},uu(9000),rep([]byte{5},9001),[]byte{0x0b}),20), rep([]byte{0x0b},100)))},
    {"calls", modz(1,0x7f,rep([]byte{0x20,0,0x10,0},60000))},
    {"calls w live locals 5000", modz(5000,0x7f,cc(sets(5000),rep([]byte{0x20,0,0x10,0},40000),stores(5000)))},
    {"loads", modz(1,0x7e,rep([]byte{0x20,0,0x29,3,0,0x21,1},36000))},
    {"grow", modz(1,0x7f,rep([]byte{0x41,0,0x40,0,0x1a},50000))},
    {"fills", modz(1,0x7f,rep([]byte{0x41,0,0x41,0,0x41,0,0xfc,11,0},28000))},
    {"copies", modz(1,0x7f,rep([]byte{0x41,0,0x41,0,0x41,0,0xfc,10,0,0},25000))},
  } {
    out, err := wasm.Rewrite(a.m, wasm.Options{})
    if err!=nil { t.Log(a.n,len(a.m),err); continue }
    var x,y runtime.MemStats; runtime.GC(); runtime.ReadMemStats(&x); s:=time.Now()
    rt := wazero.NewRuntime(ctx)
    _, err = rt.CompileModule(ctx,out)
    d:=time.Since(s); runtime.ReadMemStats(&y)
    if err!=nil { t.Log(a.n,"compile",err)}
    rt.Close(ctx)
    t.Log(a.n, len(a.m), len(out), d.Round(time.Millisecond), (y.TotalAlloc-x.TotalAlloc)>>20,"MiB alloc", (y.HeapSys-x.HeapSys)>>20)
  }
}
