/* controls.c: scenarios that are wrong on purpose, each in one way that the engine must find. The part of
 * .name behind the colon is what it must say. Read next: ../check_oom.c. */
#include "tests/fault/oom/oom.h"

#include <stdlib.h>

static tp_status new_tape(scene *s)
{
    TP_TRY(oom_draw(&s->t[0], TP_F32, TP_SHAPE(3), 1));
    TP_TRY(oom_watch(s, &s->t[0]));
    return tp_tape_new(&s->tape);
}

/* Loses the first tensor if there is no memory for the second; to tapir, not to a sanitizer, which would end it. */
static tp_status leak(scene *s)
{
    static tp_tensor kept[16]; /* read by nobody but a leak checker */
    static int next;
    tp_tensor a, b;
    (void)s, (void)kept;
    TP_TRY(tp_tensor_new(&a, TP_F32, TP_SHAPE(100)));
    kept[next++ % 16] = a;
    TP_TRY(tp_tensor_new(&b, TP_F32, TP_SHAPE(100)));
    tp_tensor_free(&a);
    tp_tensor_free(&b);
    return TP_OK;
}

static tp_status swallow(scene *s)
{
    if (tp_tensor_new(&s->made[0], TP_F32, TP_SHAPE(100)) != TP_OK)
        return TP_OK;
    return oom_note(s, &s->made[0]);
}

static tp_status leave_temporary(scene *s)
{
    FILE *f = fopen(oom_path("x.tmp"), "wb");
    if (f != NULL)
        fclose(f);
    TP_TRY(tp_tensor_new(&s->made[0], TP_F32, TP_SHAPE(100)));
    remove(oom_path("x.tmp"));
    return TP_OK;
}

/* Never resets the tape, so that its failure stays. */
static tp_status no_reset(scene *s)
{
    tp_var x = tp_constant(s->tape, &s->t[0]);
    return oom_note_var(s, tp_exp(x));
}

static tp_status half_done(scene *s)
{
    TP_TRY(tp_set_flat(&s->t[0], 0, tp_flat(&s->t[0], 0) + 1));
    TP_TRY(tp_tensor_new(&s->made[0], TP_F32, TP_SHAPE(100)));
    return tp_set_flat(&s->t[0], 0, tp_flat(&s->t[0], 0) - 1);
}

static tp_status other_code(scene *s)
{
    tp_status status = tp_tensor_new(&s->made[0], TP_F32, TP_SHAPE(100));
    return status == TP_OK ? TP_OK : tp_fail(TP_EIO, "cannot open anything");
}

static tp_status say_nothing(scene *s)
{
    tp_status status = tp_tensor_new(&s->made[0], TP_F32, TP_SHAPE(100));
    return status == TP_OK ? TP_OK : tp_fail(status, "no luck");
}

/* Once there was a failure the result is another one. */
static tp_status other_bits(scene *s)
{
    static int failures;
    if (tp_tensor_new(&s->made[0], TP_F32, TP_SHAPE(4)) != TP_OK) {
        failures++;
        return TP_ENOMEM;
    }
    return oom_note_memory(s, &failures, sizeof failures);
}

static tp_status pass_by(scene *s)
{
    void *volatile p = malloc(10);
    free(p);
    return tp_tensor_new(&s->made[0], TP_F32, TP_SHAPE(4));
}

const scenario oom_controls[] = {
    {.name = "a leak: bytes leaked", .act = leak},
    {.name = "a failure that is swallowed: swallowed", .act = swallow},
    {.name = "a temporary that is left: temporary",
     .act = leave_temporary,
     .files = true,
     .foreign = "libc"},
    {.name = "a tape that stays broken: not usable", .prepare = new_tape, .act = no_reset},
    {.name = "a change half done: not as it was", .prepare = new_tape, .act = half_done},
    {.name = "another code: not TP_ENOMEM", .act = other_code},
    {.name = "a message that says nothing: does not say", .act = say_nothing},
    {.name = "other bits afterwards: other bits", .act = other_bits},
    {.name = "an allocation beside the hook: passed by the hook", .act = pass_by},
};
const int oom_controls_count = (int)(sizeof oom_controls / sizeof *oom_controls);
