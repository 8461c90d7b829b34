/* analyzer.h: tells clang's analyzer, which sees one file at a time, what tp_fail returns: its code, which ends a
 * path. Included in front of every file by check_tidy.sh; no part of any build. */
#ifndef TP_TESTS_ANALYZER_H
#define TP_TESTS_ANALYZER_H

#include "tensor/status.h"

#define tp_fail(code, ...) (tp_fail(code, __VA_ARGS__), (code))

#endif
