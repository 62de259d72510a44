package datasets

// share is a part of a source, for one of several hosts that read it: a run of
// records, so that a host opens as few shards as it can.
type share struct {
	Source
	first, count int
}

// shareOf takes share number i of n; shares differ by one record at most.
func shareOf(s Source, i, n int) Source {
	first, end := s.Len()*i/n, s.Len()*(i+1)/n
	return &share{s, first, end - first}
}

func (s *share) Len() int                     { return s.count }
func (s *share) Record(i int) (Record, error) { return s.Source.Record(s.first + i) }
