// Package datasets reads pictures with their captions and questions.
//
// Reading order: record.go says what is known about one picture, source.go
// opens a source by its name (spec.go takes the name apart) with the reader of
// its format:
//
//	folder.go           pictures with texts beside them
//	lines.go            where the lines of a large text lie: jsonl.go, csv.go; joined.go: several as one
//	elements.go         where the parts of a large JSON lie: coco.go, vqa.go, cocopictures.go;
//	                    askedpictures.go: VizWiz, A-OKVQA, GQA
//	tar.go              WebDataset shards
//	parquet.go          tables in Hugging Face's layout
//	share.go, stored.go a host's share; pictures inside of something
//	identity.go         whether pictures are those of an earlier time
//
// set.go and open.go hold the records of a source in memory and decode its
// pictures, mixture.go joins several, order.go draws epochs, captions and
// splits from counters instead of a random state. stream.go reads dirty sources
// record by record, noise.go spoils a set on purpose. check.go looks for
// everything that is wrong with a source (fingerprint.go: pictures that look
// alike), stats.go counts, pack.go writes shards, write.go JSONL, emoji.go
// makes a set of drawings.
//
// Sub-packages: blob (bytes from anywhere), parquet (columns of tables), image
// (files to pixels), text (words to ids), shapes (a generated corpus whose
// truth is known).
package datasets
