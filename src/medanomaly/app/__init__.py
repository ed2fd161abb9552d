"""The triage page: bundles, a worklist in order of suspicion, a viewer. Edge runtime and Streamlit; no torch."""
