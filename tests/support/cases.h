/* cases.h: what PyTorch computed for single operations, as data: tests/oracle/ops.safetensors together with
 * tapir's side of each case, tests/oracle/cases.def. Compared in tests/oracle/test_oracle_ops.c; also what
 * judges operations that were broken on purpose (tests/ops/test_ops_mutants.c).
 */
#ifndef TP_TESTS_CASES_H
#define TP_TESTS_CASES_H

#include "autograd/tape.h"
#include "tensor/io/safetensors.h"

/* text: the expression. tail: small elements stand beside large ones, and each is judged by its own size. */
typedef struct oracle_case {
    const char *name;
    tp_var (*run)(const tp_var *x);
    const char *text;
    bool tail;
} oracle_case;

extern const oracle_case oracle_cases[];
extern const int oracle_case_count;

/* One case in memory; g[i] is empty where PyTorch was asked for no gradient. */
enum { CASE_INPUTS = 3 };
typedef struct problem {
    const char *name;
    int n;
    tp_tensor x[CASE_INPUTS], g[CASE_INPUTS], y, gy;
    bool differentiable;
} problem;

problem problem_load(const tp_safetensors *file, const char *name);
void problem_free(problem *p);

#endif
