;; The product of a matrix and a vector: nearly all of a model's work.
;;
;; Weights are whole numbers from -127 to 127, one byte each, with one scale a row:
;;
;;     y[r] = scale[r] * (w[r][0] * x[0] + w[r][1] * x[1] + ...)
;;
;; A v128 is a register of 16 bytes: 16 weights, or 4 numbers of x. Rows are padded with zeros to a multiple of 16
;; weights, so that no row ends within a register. `tests/web/test_products.py` assembles this text.
(module
  (memory (import "page" "memory") 1)

  ;; Addresses in bytes: of the weights, scales, x and y. `width` is the padded length of a row.
  (func (export "multiply")
    (param $weights i32) (param $scales i32) (param $x i32) (param $y i32) (param $rows i32) (param $width i32)
    (local $end i32) (local $at i32) (local $row_end i32) (local $eight v128)
    (local $a v128) (local $b v128) (local $bytes v128)

    local.get $rows
    i32.eqz
    if
      return
    end
    (local.set $end (i32.add (local.get $weights) (i32.mul (local.get $rows) (local.get $width))))

    (loop $next_row
      (local.set $row_end (i32.add (local.get $weights) (local.get $width)))
      (local.set $at (local.get $x))
      ;; two sums of four numbers each, so that one addition needn't wait for the one before it
      (local.set $a (v128.const f32x4 0 0 0 0))
      (local.set $b (v128.const f32x4 0 0 0 0))

      (loop $next_16
        (local.set $bytes (v128.load (local.get $weights)))

        ;; the first eight weights: bytes become 16-bit, then 32-bit whole numbers, then floating-point ones
        (local.set $eight (i16x8.extend_low_i8x16_s (local.get $bytes)))
        (local.set $a (f32x4.add (local.get $a) (f32x4.mul
          (f32x4.convert_i32x4_s (i32x4.extend_low_i16x8_s (local.get $eight)))
          (v128.load (local.get $at)))))
        (local.set $b (f32x4.add (local.get $b) (f32x4.mul
          (f32x4.convert_i32x4_s (i32x4.extend_high_i16x8_s (local.get $eight)))
          (v128.load offset=16 (local.get $at)))))

        ;; the other eight
        (local.set $eight (i16x8.extend_high_i8x16_s (local.get $bytes)))
        (local.set $a (f32x4.add (local.get $a) (f32x4.mul
          (f32x4.convert_i32x4_s (i32x4.extend_low_i16x8_s (local.get $eight)))
          (v128.load offset=32 (local.get $at)))))
        (local.set $b (f32x4.add (local.get $b) (f32x4.mul
          (f32x4.convert_i32x4_s (i32x4.extend_high_i16x8_s (local.get $eight)))
          (v128.load offset=48 (local.get $at)))))

        (local.set $at (i32.add (local.get $at) (i32.const 64)))
        (local.set $weights (i32.add (local.get $weights) (i32.const 16)))
        (br_if $next_16 (i32.lt_u (local.get $weights) (local.get $row_end))))

      ;; y[r] = scale[r] * (the sum of the eight partial sums)
      (local.set $a (f32x4.add (local.get $a) (local.get $b)))
      (f32.store (local.get $y) (f32.mul
        (f32.load (local.get $scales))
        (f32.add
          (f32.add (f32x4.extract_lane 0 (local.get $a)) (f32x4.extract_lane 1 (local.get $a)))
          (f32.add (f32x4.extract_lane 2 (local.get $a)) (f32x4.extract_lane 3 (local.get $a))))))
      (local.set $y (i32.add (local.get $y) (i32.const 4)))
      (local.set $scales (i32.add (local.get $scales) (i32.const 4)))
      (br_if $next_row (i32.lt_u (local.get $weights) (local.get $end))))))
