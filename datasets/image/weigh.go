package image

import "encoding/binary"

// weighBlock is how many bytes weighAVX2 makes at a time.
const weighBlock = 32

// Pixels of rows that lie side by side in a block, three bytes each, and the block's last bytes, which
// may be overwritten.
const weighRows = 10

// weighColumns is resizeColumns with vector instructions, for whole blocks of a row; it says how many
// bytes of each row are made.
func weighColumns(out, img RGB, table []taps, firstColumn int) (done int) {
	stride, width := img.Width*3, out.Width*3
	blocks := width / weighBlock
	if !wide || blocks == 0 {
		return 0
	}
	for y, t := range table {
		if len(t.weights) == 0 {
			return 0
		}
		// The last block of the last row must be inside of the picture.
		at := t.first*stride + firstColumn*3
		_ = img.Pix[at+(len(t.weights)-1)*stride+blocks*weighBlock-1]
		weighAVX2(&out.Pix[y*width], &img.Pix[at], stride, &t.weights[0], len(t.weights), blocks)
	}
	return blocks * weighBlock
}

// weighRowsOf is resizeRows with vector instructions: weighRows rows at a time are laid side by side, a
// block for each column, so that columns are weighed as rows are. It says how many rows are made.
func weighRowsOf(out, img RGB, table []taps, firstRow, shift int) (done int) {
	if !wide {
		return 0
	}
	for _, t := range table {
		if len(t.weights) == 0 {
			return 0
		}
	}
	first, last := table[0].first-shift, table[len(table)-1].first-shift+len(table[len(table)-1].weights)-1
	side := make([]byte, (last-first+1)*weighBlock)
	made := make([]byte, len(table)*weighBlock)
	for ; done+weighRows <= out.Height; done += weighRows {
		for r := range weighRows {
			// Four bytes at a time: the fourth is another pixel's, and that comes later. In the last
			// column of the picture's last row there is none.
			row := img.Pix[((firstRow+done+r)*img.Width+first)*3:]
			to := side[3*r:]
			for x := range last - first {
				binary.LittleEndian.PutUint32(to[x*weighBlock:], binary.LittleEndian.Uint32(row[3*x:]))
			}
			copy(to[(last-first)*weighBlock:], row[3*(last-first):][:3])
		}
		for x, t := range table {
			at := (t.first - shift - first) * weighBlock
			_ = side[at+len(t.weights)*weighBlock-1]
			weighAVX2(&made[x*weighBlock], &side[at], weighBlock, &t.weights[0], len(t.weights), 1)
		}
		for r := range weighRows {
			row := out.row(done + r)
			from := made[3*r:]
			for x := range table {
				*(*[3]byte)(row[3*x:]) = [3]byte(from[x*weighBlock:])
			}
		}
	}
	return done
}
