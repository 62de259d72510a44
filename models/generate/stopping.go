package generate

import "fmt"

// Stopping says when an item's beam search ends once as many beams finished as it keeps.
type Stopping int

const (
	StopHeuristic Stopping = iota // when no running beam, at its present length, beats the worst finished one
	StopEarly                     // at once
	StopNever                     // when none can, at any length that is still allowed
)

// UnmarshalJSON reads transformers' "early_stopping": false, true or "never".
func (s *Stopping) UnmarshalJSON(raw []byte) error {
	for value, text := range stoppingJSON {
		if text == string(raw) {
			*s = Stopping(value)
			return nil
		}
	}
	return fmt.Errorf("early_stopping is %s, not false, true or \"never\"", raw)
}

// MarshalJSON undoes UnmarshalJSON.
func (s Stopping) MarshalJSON() ([]byte, error) { return []byte(stoppingJSON[s]), nil }

var stoppingJSON = [...]string{"false", "true", `"never"`}

// ends says whether an item is done: running is the best sum of log-probabilities of a running beam, n
// tokens long, worst the least score of the finished ones.
func (s Stopping) ends(running, worst float64, n int, o *Options) bool {
	switch {
	case s == StopEarly:
		return true
	case s == StopNever && o.LengthPenalty > 0:
		n = o.MaxNewTokens
	}
	return running/power(n, o.LengthPenalty) <= worst
}
