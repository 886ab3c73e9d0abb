"""The Grafana dashboards as code: what each shows, and how that becomes JSON."""
