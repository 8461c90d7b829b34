/* page_fixture.h: small programs, and what a page is asked for: markup in which every element is closed, every link
 * arrives, and nothing comes from elsewhere. For test_explain_html.c and test_explain_graph.c. */
#ifndef TP_TESTS_PAGE_FIXTURE_H
#define TP_TESTS_PAGE_FIXTURE_H

#include "tests/support/derivations.h"

#include "autograd/node.h"
#include "tensor/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- a program ---------------------------------------------------------------------------------- */

/* Numbers without a rule: 0.3, -0.4, 0.5, -0.3, … */
static inline tp_tensor *filled(program *p, tp_shape shape)
{
    double data[160];
    for (int i = 0; i < 160; i++)
        data[i] = (i % 2 ? -0.1 : 0.1) * (3 + i % 3);
    return tensor(p, shape, data);
}

/* A VAE of a few numbers: x data, W and V leaves, eps a draw; scopes encoder and decoder; the KL is loose. */
static inline tp_var small_vae(program *p)
{
    tp_var x = named(tp_constant(p->tape, filled(p, TP_SHAPE(2, 3))), "x");
    tp_var w = named(tp_leaf(p->tape, filled(p, TP_SHAPE(2, 3))), "W");
    tp_scope_begin(p->tape, "encoder");
    tp_var mu = named(tp_tanh(tp_matmul(x, tp_transpose(w))), "mu");
    tp_var logvar = named(tp_scale(mu, 0.5), "logvar");
    tp_scope_end(p->tape);
    tp_var eps =
        named(tp_noise_normal(p->tape, p->dtype, TP_SHAPE(2, 2), (tp_rng_key){7, 0, 3}), "eps");
    tp_var z = named(tp_reparameterize(mu, logvar, eps), "z");
    tp_scope_begin(p->tape, "decoder");
    tp_scope_begin(p->tape, "out");
    tp_var v = named(tp_leaf(p->tape, filled(p, TP_SHAPE(2, 3))), "V");
    tp_var y = named(tp_matmul(z, v), "y");
    tp_scope_end(p->tape);
    tp_var recon = named(tp_mean(tp_square(tp_sub(y, x)), TP_ALL_AXES, false), "recon");
    tp_scope_end(p->tape);
    tp_var kl = named(tp_mean(tp_gaussian_kl(mu, logvar), TP_ALL_AXES, false), "kl");
    return named(tp_add(recon, kl), "loss");
}

/* --- text --------------------------------------------------------------------------------------- */

static inline void assert_has_not(const char *text, const char *part)
{
    const char *at = strstr(text, part);
    if (at != NULL) {
        print_error("contains %s: %.60s\n", part, at);
        fail();
    }
}

/* --- markup ------------------------------------------------------------------------------------- */

enum { DEPTH = 64, NAME = 24 };

/* The first thing in the text that is no well-formed markup (XML but for the doctype), or NULL. */
static inline const char *bad_markup(const char *text)
{
    static const char *const entities[] = {"&lt;", "&gt;", "&amp;", "&quot;"};
    char open[DEPTH][NAME];
    int depth = 0;
    for (const char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' && *p != '\n')
            return p;
        if (*p == '&') {
            bool known = false;
            for (int i = 0; i < 4; i++)
                known |= strncmp(p, entities[i], strlen(entities[i])) == 0;
            if (!known)
                return p;
        }
        if (*p != '<')
            continue;
        if (strncmp(p, "<![CDATA[", 9) == 0 || strncmp(p, "<!DOCTYPE html>", 15) == 0) {
            const char *close = strstr(p, p[2] == '[' ? "]]>" : ">");
            if (close == NULL)
                return p;
            p = close + (p[2] == '[' ? 2 : 0);
            continue;
        }
        const char *start = p++;
        bool closing = *p == '/';
        p += closing;
        size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789");
        if (n == 0 || n >= NAME || depth >= DEPTH)
            return start;
        if (closing) {
            if (depth-- == 0 || strlen(open[depth]) != n || memcmp(open[depth], p, n) != 0 ||
                p[n] != '>')
                return start;
            p += n;
            continue;
        }
        snprintf(open[depth], NAME, "%.*s", (int)n, p);
        for (p += n; *p == ' ';) { /* attributes: name="value" */
            p += 1 + strspn(p + 1, "abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ");
            if (strncmp(p, "=\"", 2) != 0)
                return start;
            p += 2 + strcspn(p + 2, "<\"");
            if (*p++ != '"')
                return start;
        }
        depth += *p == '>';
        p += *p == '/';
        if (*p != '>')
            return start;
    }
    return depth == 0 ? NULL : "an element is left open";
}

static inline void assert_markup(const char *text)
{
    const char *bad = bad_markup(text);
    if (bad != NULL) {
        print_error("not well-formed: %.200s\n", bad);
        fail();
    }
    if (!tp_utf8_valid(text))
        fail_msg("not UTF-8");
}

/* Ids are there once, and links lead to one. */
static inline void assert_links(const char *page)
{
    char quoted[64];
    for (const char *p = page; (p = strstr(p, " id=\"")) != NULL; p++) {
        snprintf(quoted, sizeof quoted, "%.*s\"", (int)(5 + strcspn(p + 5, "\"")), p);
        assert_int_equal(count(page, quoted), 1);
    }
    for (const char *p = page; (p = strstr(p, "href=\"")) != NULL; p++) {
        assert_true(p[6] == '#');
        snprintf(quoted, sizeof quoted, " id=\"%.*s\"", (int)strcspn(p + 7, "\""), p + 7);
        assert_has(page, quoted);
    }
}

/* Nothing is loaded. */
static inline void assert_alone(const char *page)
{
    static const char *const outside[] = {"http", "src=", "@import", "url(", "<link", "//cdn"};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        assert_has_not(page, outside[i]);
}

#endif
