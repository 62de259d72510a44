package datasets

import "iter"

// Stream reads a source record by record, in its order, for sets that are too large for memory or too dirty
// for Open: a record that cannot be read comes as an error of type Problem, after which reading goes on, and
// captions may be empty. Any other error ends the stream.
func Stream(name string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		source, err := OpenSource(name, Options{EmptyTexts: true})
		if err != nil {
			yield(Record{}, err)
			return
		}
		for i := range source.Len() {
			record, err := source.Record(i)
			if _, one := problemOf(err); !yield(record, err) || err != nil && !one {
				return
			}
		}
	}
}
