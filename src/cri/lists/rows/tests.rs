//! Answers whose bytes arrive in pieces of any size.

use super::*;
use crate::cri::call::FRAME_HEAD;
use crate::cri::proto;
use crate::node::{Container, ContainerState};
use proptest::prelude::*;

fn container(n: usize, text: usize) -> proto::Container {
    proto::Container {
        id: format!("{n}{}", "x".repeat(text)).into(),
        metadata: Some(proto::ContainerMetadata {
            name: "app".into(),
            attempt: 3,
        }),
        ..Default::default()
    }
}

fn list(containers: Vec<proto::Container>) -> Vec<u8> {
    proto::ListContainersResponse { containers }.encode_to_vec()
}

/// Messages in their frames, with so many rows each, and unknown fields between the rows.
fn answer(messages: &[usize], texts: &[usize]) -> Vec<u8> {
    let mut all = Vec::new();
    let mut n = 0;
    for rows in messages {
        let mut message = vec![0x10, 0xff, 0x01]; // field 2, a varint
        for _ in 0..*rows {
            message.extend(list(vec![container(n, texts[n % texts.len()])]));
            message.extend([0x1d, 1, 2, 3, 4]); // field 3, four bytes
            message.extend([0x21, 1, 2, 3, 4, 5, 6, 7, 8]); // field 4, eight bytes
            message.extend([0x2a, 2, 7, 7]); // field 5, two bytes with their length
            n += 1;
        }
        all.extend(in_frame(&message));
    }
    all
}

/// Decodes an answer that arrives in pieces of these sizes, again and again.
fn decoded(bytes: &[u8], cuts: &[usize]) -> Result<Rows<Container>, CallError> {
    let mut decoder = Decoder::new();
    let mut rest = bytes;
    for cut in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at((*cut).clamp(1, rest.len()));
        decoder.take(now)?;
        rest = later;
    }
    decoder.end()
}

proptest! {
    #[test]
    fn rows_come_out_however_the_bytes_are_cut(
        messages in prop::collection::vec(0..5usize, 0..4),
        texts in prop::collection::vec(0..300usize, 1..4),
        cuts in prop::collection::vec(1..200usize, 1..6),
    ) {
        let bytes = answer(&messages, &texts);
        let rows = decoded(&bytes, &cuts).unwrap();
        let count: usize = messages.iter().sum();
        prop_assert_eq!(rows.rows.len(), count);
        for (n, (row, size)) in rows.rows.iter().zip(&rows.sizes).enumerate() {
            let id = n.to_string();
            prop_assert!(row.id.starts_with(&id) && row.readable);
            let list = list(vec![container(n, texts[n % texts.len()])]);
            prop_assert_eq!(*size as usize, list.len());
        }
    }

    #[test]
    fn an_answer_that_ends_early_is_none(end in 0..1000usize) {
        let bytes = answer(&[2, 3], &[50, 200]);
        let end = end.min(bytes.len() - 1);
        let whole = decoded(&bytes[..end], &[64]);
        // An end between two messages cannot be seen.
        let between = end == 0 || end == FRAME_HEAD + u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize;
        prop_assert_eq!(whole.is_ok(), between, "{}", end);
    }

    #[test]
    fn any_bytes_are_rows_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 1..50usize) {
        let _ = decoded(&bytes, &[cut]);
        let framed = in_frame(&bytes);
        let outcome = |cut| decoded(&framed, &[cut]).map(|r| r.rows).map_err(|e| std::mem::discriminant(&e));
        prop_assert_eq!(outcome(framed.len()), outcome(cut));
    }
}

/// The rows beside it are whole, and its short fields are read.
#[test]
fn a_row_that_is_too_large_is_cut_however_its_bytes_come() {
    let pair = |key: &str, bytes: usize| proto::Pair {
        key: key.to_owned().into(),
        value: "x".repeat(bytes).into(),
    };
    let uid = proto::Pair {
        key: "io.kubernetes.pod.uid".into(),
        value: "u1".into(),
    };
    // One field that is too large, and many small fields that are too large together.
    let one = vec![pair("a", 2 << 20), uid.clone()];
    let mut many: Vec<proto::Pair> = (0..40_000).map(|_| pair("annotation", 40)).collect();
    many[0] = uid;
    for labels in [one, many] {
        let large = proto::Container {
            labels,
            image_id: "an image".into(),
            ..container(1, 0)
        };
        let message = list(vec![container(0, 9), large.clone(), container(2, 9)]);
        let bytes = in_frame(&message);
        for cut in [bytes.len(), 1 << 20, 70_000, 4096, 333] {
            let rows = decoded(&bytes, &[cut]).unwrap();
            let [first, row, last] = &rows.rows[..] else {
                panic!("{} rows", rows.rows.len());
            };
            assert!(first.readable && last.readable && &*last.id == "2xxxxxxxxx");
            assert_eq!(rows.sizes[1] as usize, 5 + large.encoded_len());
            assert!(!row.readable && row.state != ContainerState::Created);
            assert_eq!(
                (&*row.id, &*row.image_id, row.uid()),
                ("1", "an image", "u1")
            );
        }
        let (short, _) = bytes.split_at(bytes.len() / 2);
        assert!(decoded(short, &[4096]).is_err());
    }
}

#[test]
fn frames_that_cannot_be_taken_are_refused() {
    let cases: [(&[u8], bool); 3] = [
        (&[1, 0, 0, 0, 1, 0], false),
        (&[0, 0xff, 0xff, 0xff, 0xff], true),
        (&[0, 0, 0, 0, 2, 0x0a, 9], false),
    ];
    for (bytes, is_too_large) in cases {
        let e = decoded(bytes, &[1]).expect_err("no answer");
        let found = matches!(e, CallError::TooLarge { .. });
        assert_eq!(found, is_too_large, "{bytes:?}: {e:?}");
        assert!(
            found || matches!(e, CallError::Garbage(_)),
            "{bytes:?}: {e:?}"
        );
    }
}
