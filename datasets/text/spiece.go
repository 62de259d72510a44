package text

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"goblip/internal/bounded"
)

// Kinds of pieces of a SentencePiece model.
const (
	pieceNormal      = 1
	pieceUnknown     = 2
	pieceControl     = 3 // never found in a text: </s>
	pieceUserDefined = 4 // always one token
	pieceByte        = 6 // what unknown characters fall back to
)

// Fields of SentencePiece's messages, and kinds of models, that are used here.
const (
	modelPieces, modelTrainer, modelNormalizer       = 1, 2, 3
	pieceText, pieceScore, pieceType                 = 1, 2, 3
	trainerModelType, trainerBytes, trainerUnk       = 3, 35, 40
	normalizerName, normalizerCharsmap               = 1, 2
	modelUnigram                               int64 = 1
)

// spieceModel is what is read of a spiece.model.
type spieceModel struct {
	pieces       []string
	scores       []float64
	kinds        []int64
	unk          int64
	byteFallback bool
	charsmap     []byte
}

// parseSpiece reads a SentencePiece model, a protocol buffer.
func parseSpiece(data []byte) (*spieceModel, error) {
	m := &spieceModel{unk: -1}
	kind := modelUnigram
	err := eachField(data, func(field protowire.Number, value fieldValue) error {
		switch field {
		case modelPieces:
			if len(m.pieces) >= maxTokens {
				return fmt.Errorf("more than %d pieces", maxTokens)
			}
			return m.addPiece(value.bytes)
		case modelTrainer:
			return eachField(value.bytes, func(field protowire.Number, value fieldValue) error {
				switch field {
				case trainerModelType:
					kind = value.number
				case trainerBytes:
					m.byteFallback = value.number != 0
				case trainerUnk:
					m.unk = value.number
				}
				return nil
			})
		case modelNormalizer:
			return eachField(value.bytes, func(field protowire.Number, value fieldValue) error {
				if field == normalizerCharsmap {
					m.charsmap = value.bytes
				}
				return nil
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(m.pieces) == 0 {
		return nil, errors.New("no pieces: not a SentencePiece model")
	}
	if kind != modelUnigram {
		return nil, fmt.Errorf("model_type %d is not supported (%d, unigram, is)", kind, modelUnigram)
	}
	if m.unk < 0 { // the field has a default, which few models have
		m.unk = 0
		for id, kind := range m.kinds {
			if kind == pieceUnknown {
				m.unk = int64(id)
			}
		}
	}
	if m.unk >= int64(len(m.pieces)) {
		return nil, fmt.Errorf("unk_id %d of %d pieces", m.unk, len(m.pieces))
	}
	return m, nil
}

func (m *spieceModel) addPiece(data []byte) error {
	text, score, kind := "", 0.0, int64(pieceNormal)
	err := eachField(data, func(field protowire.Number, value fieldValue) error {
		switch field {
		case pieceText:
			text = string(value.bytes)
		case pieceScore:
			score = float64(math.Float32frombits(uint32(value.number)))
		case pieceType:
			kind = value.number
		}
		return nil
	})
	if err == nil && !utf8.ValidString(text) {
		err = errors.New("not UTF-8")
	}
	if err != nil {
		return fmt.Errorf("piece %d: %w", len(m.pieces), err)
	}
	m.pieces, m.scores, m.kinds = append(m.pieces, text), append(m.scores, score), append(m.kinds, kind)
	return nil
}

// fieldValue is the value of a field: bytes, or a number as its bits.
type fieldValue struct {
	bytes  []byte
	number int64
}

// eachField calls f for each field of a message.
func eachField(data []byte, f func(field protowire.Number, value fieldValue) error) error {
	for len(data) > 0 {
		field, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		var value fieldValue
		switch kind {
		case protowire.BytesType:
			value.bytes, n = protowire.ConsumeBytes(data)
		case protowire.VarintType:
			var number uint64
			number, n = protowire.ConsumeVarint(data)
			value.number = int64(number)
		case protowire.Fixed32Type:
			var number uint32
			number, n = protowire.ConsumeFixed32(data)
			value.number = int64(number)
		default:
			n = protowire.ConsumeFieldValue(field, kind, data)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		if err := f(field, value); err != nil {
			return err
		}
	}
	return nil
}

// readSpiece reads T5's spiece.model. As in transformers, the model has extra_ids tokens more, the
// first of them last, white space only separates words, and </s> ends every text.
func readSpiece(dir string, config *folderConfig) (Tokenizer, error) {
	path := filepath.Join(dir, spieceFile)
	data, err := bounded.ReadFile(path, maxFileBytes)
	if err != nil {
		return nil, err
	}
	m, err := parseSpiece(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t, err := m.tokenizer(config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

func (m *spieceModel) tokenizer(config *folderConfig) (*Unigram, error) {
	tokens, scores := m.pieces, m.scores
	for i := config.extraIDs - 1; i >= 0; i-- {
		tokens, scores = append(tokens, fmt.Sprintf("<extra_id_%d>", i)), append(scores, 0)
	}
	t, err := newUnigram(newVocabulary(tokens), scores, int32(m.unk), m.byteFallback)
	if err != nil {
		return nil, err
	}
	if len(m.charsmap) > 0 {
		if t.normalizer, err = readCharsmap(m.charsmap); err != nil {
			return nil, err
		}
	}
	for id, kind := range m.kinds {
		if (kind == pieceControl || kind == pieceUserDefined) && m.pieces[id] != "" {
			a := addedToken{ID: t.ids[m.pieces[id]], Content: m.pieces[id], Special: kind == pieceControl}
			if err := t.addToken(a, t.normalize); err != nil {
				return nil, err
			}
		}
	}
	eos := config.name("eos_token", OPTEosToken)
	t.settings.Named = map[string]string{"eos_token": eos, "unk_token": m.pieces[m.unk], "pad_token": config.name("pad_token", OPTPadToken)}
	for i := range config.extraIDs {
		t.AddSpecial(fmt.Sprintf("<extra_id_%d>", i))
	}
	for _, key := range namedTokens {
		if name := t.settings.Named[key]; name != "" {
			t.AddSpecial(name)
		}
	}
	if err := config.apply(&t.vocabulary, t.normalize); err != nil {
		return nil, err
	}
	return t, t.setAround(nil, []string{eos})
}

// spiece returns the tokenizer as a spiece.model, and how many extra ids come behind its pieces.
// ok is false if it does something that such a file does not say.
func (t *Unigram) spiece() (data []byte, extraIDs int, ok bool) {
	m, precompiled := t.normalizer.(*charsmap)
	if t.normalizer != nil && !precompiled || !t.words.words || t.words.metaspace != (metaspace{spaceMark, prependAlways, true}) {
		return nil, 0, false
	}
	for extraIDs < t.modelSize && t.tokens[t.modelSize-1-extraIDs] == fmt.Sprintf("<extra_id_%d>", extraIDs) {
		extraIDs++
	}
	for id, token := range t.tokens[:t.modelSize-extraIDs] {
		data = appendMessage(data, modelPieces, t.appendPiece(nil, int32(id), token))
	}
	var trainer []byte
	trainer = appendNumber(trainer, trainerModelType, uint64(modelUnigram))
	trainer = appendNumber(trainer, trainerBytes, protowire.EncodeBool(t.byteFallback))
	trainer = appendNumber(trainer, trainerUnk, uint64(t.unk))
	data = appendMessage(data, modelTrainer, trainer)
	if precompiled {
		normalizer := appendMessage(nil, normalizerName, []byte("precompiled"))
		data = appendMessage(data, modelNormalizer, appendMessage(normalizer, normalizerCharsmap, m.data))
	}
	return data, extraIDs, true
}

func (t *Unigram) appendPiece(data []byte, id int32, token string) []byte {
	kind := pieceNormal
	a, added := t.added[id]
	_, isByte := byteOfToken(token)
	switch {
	case id == t.unk:
		kind = pieceUnknown
	case added && a.Special:
		kind = pieceControl
	case added:
		kind = pieceUserDefined
	case isByte && t.byteFallback:
		kind = pieceByte
	}
	data = appendMessage(data, pieceText, []byte(token))
	data = protowire.AppendTag(data, pieceScore, protowire.Fixed32Type)
	data = protowire.AppendFixed32(data, math.Float32bits(float32(t.scores[id])))
	return appendNumber(data, pieceType, uint64(kind))
}

func appendMessage(data []byte, field protowire.Number, message []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(data, field, protowire.BytesType), message)
}

func appendNumber(data []byte, field protowire.Number, number uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(data, field, protowire.VarintType), number)
}
