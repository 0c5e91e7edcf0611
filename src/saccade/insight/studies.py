"""The studies there are, in the order of their worth: with a short budget the last go first."""

from saccade.insight.trust import Study

STUDIES: tuple[Study, ...] = ()
