"""Whether a synthetic defect is worth counting: does the detector see it, does its border betray it, is it new?"""
