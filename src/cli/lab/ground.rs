//! What a rehearsal stands on: a world and the site file that fits it, the lab's own or those
//! of a survey, and the files of this machine that its parameters name.

use crate::cli::lab::play::BEGINS;
use crate::cli::lab::rehearse::lab_site;
use crate::cli::{site, survey};
use crate::lab::{World, real, site as labsite, surveyed};
use crate::session::Out;
use crate::site::{Site, lacking};
use std::path::Path;

/// A world and its site.
pub(crate) struct Ground {
    pub(crate) site: Site,
    pub(crate) world: World,
}

/// The world of a survey, or the lab's own; the site of a site file, or the world's.
pub(crate) fn ground(
    own: Option<&str>,
    from: Option<&Path>,
    seed: u64,
    out: &mut Out<'_>,
) -> Result<Ground, String> {
    let own = match own {
        Some(name) => Some(surveyed::own(&site::find(name)?.site)?),
        None => None,
    };
    let Some(from) = from else {
        let mut world = labsite::world(seed, BEGINS);
        if let Some(site) = &own {
            fits(site, &world, "the lab's own site; take a survey of yours and start --from it")?;
        }
        let site = own.map_or_else(lab_site, Ok)?;
        leased(&mut world, &site);
        return Ok(Ground { site, world });
    };
    let survey = survey::load(from)?;
    let (mut world, notes) =
        surveyed::world(&survey, seed).map_err(|e| format!("{}: {e}", from.display()))?;
    survey::summary(&survey).into_iter().for_each(|line| {
        out(line);
    });
    for note in notes {
        out(format!("  note: {note}"));
    }
    if let Some(site) = &own {
        fits(site, &world, "the survey; take it again with this --site")?;
    }
    let site = own.map_or_else(|| surveyed::site(&survey.site), Ok)?;
    leased(&mut world, &site);
    Ok(Ground { site, world })
}

/// Where somebody else would hold the cluster's lease, too.
fn leased(world: &mut World, site: &Site) {
    if let Some(kubernetes) = &site.kubernetes {
        let at = kubernetes.lease().0;
        world.stage.lease = (at.namespace.clone(), at.name.clone());
    }
}

/// Every voter of the site file is one of the world.
fn fits(site: &Site, world: &World, where_else: &str) -> Result<(), String> {
    let voters = site.vault.iter().flat_map(|v| v.voter.get_ref());
    match voters.into_iter().find(|v| !world.vault.voters.contains_key(&v.name)) {
        Some(voter) => Err(format!("{} is no voter of {where_else}", voter.name)),
        None => Ok(()),
    }
}

/// What the runbook needs the site has.
pub(crate) fn needs(site: &Site, needs: &[String]) -> Result<(), String> {
    match lacking(site, needs).as_slice() {
        [] => Ok(()),
        lacks => Err(lacks.join("; ")),
    }
}

/// Files of this machine that parameters name are taken along, to be read in there; what is
/// written stays in there.
pub(crate) fn files(world: &mut World, params: &[String], out: &mut Out<'_>) -> Result<(), String> {
    for (name, value) in params.iter().filter_map(|p| p.split_once('=')) {
        let path = Path::new(value);
        if world.files.get(path).is_some() {
            continue;
        }
        let manifest = name == "manifest";
        if manifest && !path.is_file() {
            // Said now, and not when the change has come halfway.
            return Err(format!("--param manifest: {value} is no file; check the path"));
        }
        if !(manifest || value.contains('/') && path.is_file()) {
            continue;
        }
        let bytes = real(path).map_err(|e| format!("--param {name}: {value}: {e}"))?;
        world.files.put(path, bytes, world.now);
        if manifest {
            world.stage.manifest = path.to_owned();
        }
        out(format!("  read from this machine: {value} ({name})"));
    }
    Ok(())
}
