package store

import (
	"slices"
	"strconv"
	"strings"
)

// exposuresColumn are the numbers of the exposures of a recipient r, joined by commas.
const exposuresColumn = `(SELECT string_agg(CAST(x.exposure AS text), ',') FROM recipient_exposure x WHERE x.recipient = r.id) AS exposures`

// exposureIDs turns the numbers that exposuresColumn joined into ids, in the order
// of the incident.
func exposureIDs(known map[int64]exposureRow, joined string) ([]string, error) {
	if joined == "" {
		return nil, nil
	}
	rows := make([]exposureRow, 0, 4)
	for joined != "" {
		var s string
		s, joined, _ = strings.Cut(joined, ",")
		num, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return nil, err
		}
		rows = append(rows, known[num])
	}
	slices.SortFunc(rows, func(a, b exposureRow) int { return a.Ord - b.Ord })
	ids := make([]string, len(rows))
	for i, e := range rows {
		ids[i] = e.ID
	}
	return ids, nil
}
