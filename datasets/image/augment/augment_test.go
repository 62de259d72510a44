package augment

import (
	"encoding/json"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"testing"

	"goblip/datasets/image"
)

// pictures are those of scripts/golden_augment.py.
func pictures(t *testing.T) map[string]image.RGB {
	t.Helper()
	out := map[string]image.RGB{}
	for _, name := range []string{"rgb.png", "photo420.jpg"} {
		img, err := image.Open("../testdata/"+name, image.Options{})
		if err != nil {
			t.Fatal(err)
		}
		out[name] = img
	}
	out["grown"] = image.Resize(out["rgb.png"], 90, 71, image.Bicubic)
	flat := image.RGB{Width: 20, Height: 30}
	for range 600 {
		flat.Pix = append(flat.Pix, 90, 120, 130)
	}
	out["flat"] = flat
	return out
}

// TestGolden wants the bytes of Pillow, torchvision and OpenCV.
func TestGolden(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	type op struct {
		Op     Kind
		Amount float64
	}
	var golden struct {
		Ops []struct {
			Picture string
			op
			CRC uint32
		}
		Crops []struct {
			Picture string
			Crop    [4]int
			Size    int
			Flip    bool
			Ops     []op
			CRC     uint32
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	pictures := pictures(t)
	for _, g := range golden.Ops {
		got := Op{g.Op, g.Amount}.Apply(pictures[g.Picture])
		if crc := crc32.ChecksumIEEE(got.Pix); crc != g.CRC {
			t.Errorf("%s: %s %g: other pixels", g.Picture, g.Op, g.Amount)
		}
	}
	for _, g := range golden.Crops {
		p := Policy{Size: g.Size}
		d := Params{Crop: Crop{g.Crop[0], g.Crop[1], g.Crop[2], g.Crop[3]}, Flip: g.Flip}
		for _, o := range g.Ops {
			d.Ops = append(d.Ops, Op{o.Op, o.Amount})
		}
		if crc := crc32.ChecksumIEEE(p.Apply(pictures[g.Picture], d)); crc != g.CRC {
			t.Errorf("%s: crop %v to %d, flip %v, %v: other pixels", g.Picture, g.Crop, g.Size, g.Flip, g.Ops)
		}
	}
	if len(golden.Ops) < 100 || len(golden.Crops) < 30 {
		t.Errorf("only %d operations and %d crops", len(golden.Ops), len(golden.Crops))
	}
}

// TestDraw wants what is drawn to fit the picture and to have the shares that the policy says.
func TestDraw(t *testing.T) {
	p := BLIP(24, 0.5)
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	const n = 4000
	flips, ops, area := 0, 0, 0.0
	kinds := map[Kind]int{}
	for i := range n {
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		height, width := 40+i%7, 50-i%5
		d := p.Draw(rng, height, width)
		if again := p.Draw(rand.New(rand.NewPCG(1, uint64(i))), height, width); !reflect.DeepEqual(d, again) {
			t.Fatal("the same numbers give other changes")
		}
		c := d.Crop
		if c.Top < 0 || c.Left < 0 || c.Height < 1 || c.Width < 1 || c.Top+c.Height > height || c.Left+c.Width > width {
			t.Fatalf("crop %+v of %d x %d", c, width, height)
		}
		share := float64(c.Height*c.Width) / float64(height*width)
		ratio := float64(c.Width) / float64(c.Height)
		if share < 0.47 || ratio < 0.7 || ratio > 1.42 {
			t.Fatalf("crop %+v keeps %g at ratio %g", c, share, ratio)
		}
		area += share / n
		if d.Flip {
			flips++
		}
		for _, o := range d.Ops {
			kinds[o.Kind]++
			ops++
			switch a := math.Abs(o.Amount); o.Kind {
			case ShearX, ShearY:
				if a != 0.15 {
					t.Fatalf("%+v", o)
				}
			case Brightness, Sharpness:
				if a != 1 {
					t.Fatalf("%+v", o)
				}
			}
		}
	}
	if flips < n*46/100 || flips > n*54/100 || ops < n*95/100 || ops > n*105/100 || area < 0.66 || area > 0.73 {
		t.Errorf("%d flips, %d operations, mean area %g of %d", flips, ops, area, n)
	}
	for _, k := range BLIPOps {
		if kinds[k] < ops*7/100 || kinds[k] > ops*13/100 {
			t.Errorf("%s %d times of %d", k, kinds[k], ops)
		}
	}
	// A strip that no ratio fits gives its middle.
	if d := p.Draw(rand.New(rand.NewPCG(1, 1)), 400, 3); d.Crop != (Crop{198, 0, 4, 3}) {
		t.Errorf("crop of a strip %+v", d.Crop)
	}
}

func TestValidate(t *testing.T) {
	for name, change := range map[string]func(*Policy){
		"size": func(p *Policy) { p.Size = 0 }, "scale": func(p *Policy) { p.Scale[0] = 0 }, "ratio": func(p *Policy) { p.Ratio[0] = 9 },
		"flip": func(p *Policy) { p.Flip = math.NaN() }, "level": func(p *Policy) { p.Level = 11 }, "choices": func(p *Policy) { p.Choices = nil },
	} {
		p := BLIP(224, 0.2)
		if change(&p); p.Validate() == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
