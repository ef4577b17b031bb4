package report

// Conclude judges a report that a test put together.
func (r *Report) Conclude() { r.conclude() }
