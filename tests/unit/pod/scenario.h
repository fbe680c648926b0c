/*
 * Life cycles told in text files, tests/data/transcripts/<name>.txt; README.md there is the manual.
 */
#pragma once

/** Plays scenario @name and compares what happened with what it says should happen, line by line.
 * Fails the test with the first difference, or when a rule of pod_rules.h is broken. */
void scenario_play(const char *name);
