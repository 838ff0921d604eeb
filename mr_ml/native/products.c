/* Products of sparse rows with coefficients, and of their transpose with rows. */
#include "native.h"

typedef struct {
    const int32_t *indptr, *indices;
    const double *values;
    Py_ssize_t n_rows, nnz, n_features;
} Csr;

/* That no index reaches `width` is the caller's word: looking through them again and again costs as much as a product. */
static int is_csr(const Csr *x, Py_ssize_t width)
{
    if (x->indptr[0] != 0 || x->indptr[x->n_rows] != x->nnz)
        return 0;
    for (Py_ssize_t i = 0; i < x->n_rows; i++)
        if (x->indptr[i + 1] < x->indptr[i])
            return 0;
    return 0 <= width && width <= x->n_features;
}

typedef double Pair __attribute__((vector_size(16), aligned(8)));

static inline Pair load_pair(const double *at)
{
    Pair pair;
    memcpy(&pair, at, sizeof pair);
    return pair;
}

static inline void store_pair(double *at, Pair pair)
{
    memcpy(at, &pair, sizeof pair);
}

PyDoc_STRVAR(csr_dot_doc, "csr_dot(indptr, indices, values, width, n_outputs, coef, out)\n\n"
                          "out (n_rows, n_outputs) = X coef, coef (n_features, n_outputs). All indices are in\n"
                          "0 .. width - 1: the caller vouches for that.");

static PyObject *csr_dot(PyObject *self, PyObject *args)
{
    PyObject *objects[5];
    Py_ssize_t width, k_all;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOnnOO", &objects[0], &objects[1], &objects[2], &width, &k_all, &objects[3],
                          &objects[4]))
        return NULL;
    static const Py_ssize_t sizes[5] = {4, 4, 8, 8, 8};
    Buffer b[5] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 5; k++)
        if (!acquire(objects[k], &b[k], sizes[k], k == 4))
            goto done;
    const double *coef = b[3].view.buf;
    double *out = b[4].view.buf;
    Csr x = {b[0].view.buf, b[1].view.buf, b[2].view.buf, items(&b[0]) - 1, items(&b[1]), 0};
    x.n_features = k_all > 0 ? items(&b[3]) / k_all : 0;
    if (k_all < 1 || x.n_rows < 0 || items(&b[2]) != x.nnz || items(&b[3]) != x.n_features * k_all ||
        items(&b[4]) != x.n_rows * k_all || !is_csr(&x, width)) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit together");
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < x.n_rows; i++) {
        int32_t first = x.indptr[i], last = x.indptr[i + 1];
        if (k_all == 1) {
            double sum = 0;
            for (int32_t e = first; e < last; e++)
                sum += x.values[e] * coef[x.indices[e]];
            out[i] = sum;
        } else if (k_all == 2) {
            Pair sum = {0, 0};
            for (int32_t e = first; e < last; e++)
                sum += x.values[e] * load_pair(coef + 2 * (Py_ssize_t)x.indices[e]);
            store_pair(out + 2 * i, sum);
        } else {
            double *sums = out + i * k_all;
            memset(sums, 0, (size_t)k_all * sizeof *sums);
            for (int32_t e = first; e < last; e++) {
                const double *w = coef + k_all * (Py_ssize_t)x.indices[e];
                double v = x.values[e];
                for (Py_ssize_t k = 0; k < k_all; k++)
                    sums[k] += v * w[k];
            }
        }
    }
    Py_END_ALLOW_THREADS
    result = Py_None;
    Py_INCREF(result);
done:
    release(b, 5);
    return result;
}

PyDoc_STRVAR(csr_pull_doc, "csr_pull(indptr, indices, values, width, n_outputs, slope, bend, sums)\n\n"
                           "sums[..., 0] = X' slope and sums[..., 1] = (X o X)' bend in one sweep; slope and bend\n"
                           "(n_rows, n_outputs), sums (n_features, n_outputs, 2), zero at the start. The two lie side\n"
                           "by side because the way to a column's place in memory is what costs. Without a bend, None,\n"
                           "sums = X' slope, (n_features, n_outputs).");

/* sums += X' slope */
static inline void pull_slope(const Csr *x, Py_ssize_t k_all, const double *slope, double *sums)
{
    for (Py_ssize_t i = 0; i < x->n_rows; i++, slope += k_all)
        for (int32_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
            double v = x->values[e], *at = sums + k_all * (Py_ssize_t)x->indices[e];
            for (Py_ssize_t k = 0; k < k_all; k++)
                at[k] += v * slope[k];
        }
}

/* sums[..., 0] += X' slope, sums[..., 1] += (X o X)' bend */
static void pull_both(const Csr *x, Py_ssize_t k_all, const double *slope, const double *bend, double *sums)
{
    for (Py_ssize_t i = 0; i < x->n_rows; i++) {
        const double *s = slope + i * k_all, *c = bend + i * k_all;
        if (k_all == 1) {
            Pair both = {*s, *c};
            for (int32_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
                double v = x->values[e], *at = sums + 2 * (Py_ssize_t)x->indices[e];
                Pair powers = {v, v * v};
                store_pair(at, load_pair(at) + powers * both);
            }
            continue;
        }
        for (int32_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
            double v = x->values[e], square = v * v;
            double *at = sums + 2 * k_all * (Py_ssize_t)x->indices[e];
            for (Py_ssize_t k = 0; k < k_all; k++) {
                at[2 * k] += v * s[k];
                at[2 * k + 1] += square * c[k];
            }
        }
    }
}

static PyObject *csr_pull(PyObject *self, PyObject *args)
{
    PyObject *objects[6];
    Py_ssize_t width, k_all;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOnnOOO", &objects[0], &objects[1], &objects[2], &width, &k_all, &objects[3],
                          &objects[4], &objects[5]))
        return NULL;
    static const Py_ssize_t sizes[6] = {4, 4, 8, 8, 8, 8};
    Buffer b[6] = {{.held = 0}};
    PyObject *result = NULL;
    int both = objects[4] != Py_None, n_sums = both ? 2 : 1;
    for (int k = 0; k < 6; k++)
        if ((k != 4 || both) && !acquire(objects[k], &b[k], sizes[k], k == 5))
            goto done;
    const double *slope = b[3].view.buf;
    double *sums = b[5].view.buf;
    Csr x = {b[0].view.buf, b[1].view.buf, b[2].view.buf, items(&b[0]) - 1, items(&b[1]), 0};
    x.n_features = k_all > 0 ? items(&b[5]) / k_all / n_sums : 0;
    if (k_all < 1 || x.n_rows < 0 || items(&b[2]) != x.nnz || items(&b[3]) != x.n_rows * k_all ||
        (both && items(&b[4]) != items(&b[3])) || items(&b[5]) != x.n_features * k_all * n_sums || !is_csr(&x, width)) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit together");
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    if (both)
        pull_both(&x, k_all, slope, b[4].view.buf, sums);
    else if (k_all == 1) /* known beforehand, so that there is no inner loop */
        pull_slope(&x, 1, slope, sums);
    else
        pull_slope(&x, k_all, slope, sums);
    Py_END_ALLOW_THREADS
    result = Py_None;
    Py_INCREF(result);
done:
    release(b, 6);
    return result;
}

PyMethodDef product_methods[] = {
    {"csr_dot", csr_dot, METH_VARARGS, csr_dot_doc},
    {"csr_pull", csr_pull, METH_VARARGS, csr_pull_doc},
    {NULL, NULL, 0, NULL},
};
