package capfilt

// Merge adds the pictures that o counts. The outcome does not depend on how the pictures were divided, nor on the
// order of merging.
func (s *Stats) Merge(o *Stats) {
	for _, from := range o.Origins {
		s.origin(from.Source.Origin).merge(from)
	}
	for key, origins := range o.Scores {
		for origin, h := range origins {
			if s.Scores[key] == nil || s.Scores[key][origin] == nil {
				s.histogram(key, origin, "") // the kind says where it begins, which is copied
				s.Scores[key][origin].Low, s.Scores[key][origin].High = h.Low, h.High
			}
			s.Scores[key][origin].merge(h)
		}
	}
	for group, v := range o.Verdicts {
		s.verdict(group).merge(v)
		for i, h := range o.Truth[group] {
			s.Truth[group][i].merge(h)
		}
	}
	s.Repeats.merge(o.Repeats)
	for group, set := range o.Examples {
		for _, e := range set.List {
			s.exampleSet(group).add(e)
		}
	}
	s.Summary.merge(&o.Summary)
}

func (t *tally) merge(o *tally) {
	t.Source.Texts += o.Source.Texts
	t.Source.Kept += o.Source.Kept
	for reason, n := range o.Source.Rejected {
		t.Source.Rejected[reason] += n
	}
	t.Words += o.Words
	t.KeptWords += o.KeptWords
	t.All.merge(o.All)
	t.KeptTexts.merge(o.KeptTexts)
}

func (v *Verdict) merge(o *Verdict) {
	v.Texts += o.Texts
	v.Right += o.Right
	v.Kept += o.Kept
	v.KeptRight += o.KeptRight
	for kind, k := range o.Kinds {
		if v.Kinds[kind] == nil {
			v.Kinds[kind] = &KindCut{}
		}
		v.Kinds[kind].Texts += k.Texts
		v.Kinds[kind].Rejected += k.Rejected
	}
}

// merge adds what is counted picture by picture; the rest is computed at the end.
func (s *Summary) merge(o *Summary) {
	s.Pictures += o.Pictures
	s.BadPictures += o.BadPictures
	s.Texts += o.Texts
	s.Kept += o.Kept
	s.PicturesKept += o.PicturesKept
	s.HumanPictures += o.HumanPictures
	s.PicturesGained += o.PicturesGained
	s.Files = append(s.Files, o.Files...)
}
