"""The triage page: bundles, a worklist in order of suspicion, a viewer. Edge runtime and Streamlit; no torch.

``medanomaly app`` starts in :mod:`.server`. :mod:`.pages` is what Streamlit draws, :mod:`.endpoints` what the browser
asks, :mod:`.session` what the server keeps (marks too), and :mod:`.viewer` one image as it is shown.
"""
