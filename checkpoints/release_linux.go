package checkpoints

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// release drops the pages of a part of a mapped file, but those that neighbours share.
func release(part []byte) {
	page := os.Getpagesize()
	if len(part) < 2*page {
		return
	}
	skip := (page - int(uintptr(unsafe.Pointer(&part[0]))%uintptr(page))) % page
	length := (len(part) - skip) / page * page
	_ = unix.Madvise(part[skip:skip+length], unix.MADV_DONTNEED) // only advice
}
