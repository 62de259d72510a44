package runlog

import (
	"testing"
	"time"
)

func TestBar(t *testing.T) {
	d, out, c := testDisplay(0)
	b := newBar(d, "pictures", 1000)
	for range 10 {
		c.t = c.t.Add(2 * time.Second)
		b.Add(100)
	}
	b.Done()
	b.Done()
	if want := "pictures  100/1000  ETA 18s\npictures  400/1000  ETA 12s\npictures  700/1000  ETA 6s\n" +
		"pictures  1000/1000  ETA 0s\npictures  1000 done in 20s\n"; out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	var none *Bar
	none.Update(1, 2)
	none.Done()
}

func TestBarTerminal(t *testing.T) {
	d, out, c := testDisplay(60)
	b := newBar(d, "pictures", 4)
	c.t = c.t.Add(time.Second)
	b.Update(2, 4)
	b.Done()
	want := "\r███████████████░░░░░░░░░░░░░░░  pictures  2/4  ETA 1s\x1b[K\r\x1b[Kpictures  2 done in 1s\n"
	if out.String() != want {
		t.Errorf("got  %q\nwant %q", out, want)
	}
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		400 * time.Millisecond: "0s", 59600 * time.Millisecond: "1m00s", 80 * time.Second: "1m20s",
		2*time.Hour + 5*time.Minute: "2h05m",
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
